"""Every table is either erased with its patient, or said to hold nothing of one: also a table that is added later."""

from service.storage import erasing
from service.storage.tables import idempotency_keys, metadata

# Tables in which nothing of a patient can stand, and the audit, which knows the pseudonym only.
OF_NOBODY = {"api_keys", "source_maps", "notes", "cds_tokens", "subscriptions", "audit", "audit_head"}
OF_PEOPLE = {"people", "sessions", "known_browsers", "sign_in_attempts", "oidc_requests"}
OF_WATCHING = {"escalation_policy", "feeds"}
# Found by what they point to, or by what stands in them.
FOUND_OTHERWISE = {"inbox", "patients", "delivery_attempts", "cds_cards", "cds_feedback", "idempotency_keys"}


def test_every_table_is_either_erased_or_said_to_hold_nothing_of_a_patient():
    erased = {table.name for table, _ in erasing.rows_of("pat_1")} | {idempotency_keys.name}
    of_patients = {name for name, table in metadata.tables.items() if "patient_id" in table.c}

    assert of_patients | FOUND_OTHERWISE == erased
    assert set(metadata.tables) - erased <= OF_NOBODY | OF_PEOPLE | OF_WATCHING


def test_no_table_that_is_left_points_to_one_that_is_erased():
    erased = {table.name for table, _ in erasing.rows_of("pat_1")}
    pointing = {
        (name, key.column.table.name)
        for name, table in metadata.tables.items()
        for key in table.foreign_keys
        if key.column.table.name in erased and name not in erased
    }

    assert pointing == set()


def test_a_table_goes_before_those_that_it_points_to():
    order = [table.name for table, _ in erasing.rows_of("pat_1")]
    wrong = [
        (table.name, key.column.table.name)
        for table, _ in erasing.rows_of("pat_1")
        for key in table.foreign_keys
        if key.column.table.name in order and order.index(key.column.table.name) < order.index(table.name)
    ]

    assert wrong == []
