"""An erased patient's identifier is found however it is written in a message that brought nothing.

Law: the table says how the identifier is written and whether it is the patient's; a reader can check it line by line.
"""

import pytest
from sqlalchemy import insert, select

from service.flows.erase import OTHERS, erase
from service.formats import unescaped
from service.formats.fhir.reader import MEDIA_TYPE as FHIR
from service.formats.hl7v2.reader import MEDIA_TYPE as HL7V2
from service.storage.tables import inbox
from tests.flows.build import NOW, WOMAN, calcium, panel, row_counts

MSH = rb"MSH|^~\&|LAB|H|X|Y|20261101||ORU^R01|M1|P|2.5" + b"\r"
# identifier, media type, how it is written, whether it is the same
TABLE = {
    "json-plain": ("Zoë/1", FHIR, '{"value": "Zoë/1"}'.encode(), True),
    "json-slash": ("Zoë/1", FHIR, '{"value": "Zoë\\/1"}'.encode(), True),
    "json-upper-case": ("Ä-1", FHIR, rb'{"value": "\u00C4-1"}', True),
    "json-lower-case": ("Ä-1", FHIR, rb'{"value": "\u00c4-1"}', True),
    "json-needless": ("881", FHIR, rb'{"value": "\u0038\u0038\u0031"}', True),
    "json-mixed": ("Ä/1", FHIR, rb'{"value": "\u00C4\/\u0031"}', True),
    "json-pair": ("😀1", FHIR, rb'{"value": "\uD83D\ude001"}', True),
    "json-half-a-pair": ("881", FHIR, rb'{"value": "\uD83D 881"}', True),
    "json-after-a-line": ("881", FHIR, rb'{"value": "a\n881"}', True),
    "json-quote": ('q"1', FHIR, rb'{"value": "q\u00221"}', True),
    "json-backslash": ("a\\b", FHIR, rb'{"value": "a\\b"}', True),
    "json-backslash-that-is-one": ("aA", FHIR, rb'{"value": "a\\u0041"}', False),
    "json-longer": ("881", FHIR, rb'{"value": "\u0038\u0038\u0031\u0031"}', False),
    "json-in-an-address": ("Zoë/1", FHIR, b'{"reference": "Patient?identifier=h%7CZo%C3%AB%2f1"}', True),
    "json-after-a-sign-of-an-address": ("881", FHIR, b'{"reference": "Patient?identifier=h%7C881"}', True),
    "json-no-json": ("Ä/1", FHIR, rb'{"value": "\u00C4\/1", "\uZZZZ": "\x', True),
    "hl7-ampersand": ("a&1", HL7V2, MSH + rb"PID|1||a\T\1^^^h", True),
    "hl7-each": ("|^&~\\1", HL7V2, MSH + rb"PID|1||\F\\S\\T\\R\\E\1^^^h", True),
    "hl7-bytes": ("a&1", HL7V2, MSH + rb"PID|1||a\X26\1^^^h", True),
    "hl7-more-bytes": ("881", HL7V2, MSH + rb"PID|1||\X38 38 31\^^^h", True),
    "hl7-bytes-lower-case": ("Ä1", HL7V2, MSH + rb"PID|1||\Xc384\1^^^h", True),
    "hl7-bytes-latin": ("Ä1", HL7V2, MSH + rb"PID|1||\XC4\1^^^h", True),
    "hl7-after-a-line": ("881", HL7V2, MSH + rb"NTE|1||a\.br\881", True),
    "hl7-in-bold": ("881", HL7V2, MSH + rb"NTE|1||\H\881\N\ is", True),
    "hl7-lone-sign": ("a&1", HL7V2, MSH + rb"NTE|1||a\b|a\T\1", True),
    "hl7-escaped-escape": ("aT1", HL7V2, MSH + rb"PID|1||a\E\T\E\1", False),
    "hl7-longer": ("a&1", HL7V2, MSH + rb"PID|1||a\T\11^^^h", False),
    "hl7-own-signs": ("a&1", HL7V2, rb"MSH!*~$&!LAB" + b"\r" + rb"PID!1!!a$T$1***h", True),
    "hl7-second-of-a-batch": ("a#1", HL7V2, MSH + b"PID|1\r\n" + rb"MSH|^~$#|LAB" + b"\nPID|1||a$T$1", True),
    "hl7-sixteen-bits": ("a&1", HL7V2, "MSH|^~\\&|LAB\rPID|1||a\\T\\1^^^h".encode("utf-16-le"), True),
    "hl7-no-head": ("a&1", HL7V2, rb"PID|1||a\T\1^^^h", True),
}


@pytest.mark.parametrize(("identifier", "media_type", "body", "same"), TABLE.values(), ids=TABLE)
def test_an_identifier_is_found_in_every_way_of_writing_it(client, database, identifier, media_type, body, same):
    client.post("/v1/panels", json=panel(calcium("11.9"), patient={**WOMAN, "id": identifier}))
    with database.transaction() as connection:
        row = connection.execute(select(inbox)).one()._asdict()
        refused = {"id": "msg_refused", "content_type": media_type, "body": body}
        connection.execute(insert(inbox).values(**{**row, **refused}))

    done = erase(database, identifier, None, now=NOW)

    assert (done.rows[OTHERS], row_counts(database)["inbox"]) == ((1, 0) if same else (0, 1))


HOSTILE = {
    "json": (FHIR, rb"\u00c4" * 200_000),
    "backslashes": (FHIR, b"\\" * 1_000_000),
    "percent": (FHIR, b"%" * 1_000_000),
    "hl7": (HL7V2, MSH + b"\\X" * 500_000),
    "hl7-bytes": (HL7V2, MSH + b"\\X" + b"0" * 1_000_000),
    "hl7-heads": (HL7V2, b"".join(b"MSH%c^~%c&|\r" % (33 + n % 15, 58 + n % 7) for n in range(100_000))),
}


@pytest.mark.parametrize(("media_type", "body"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_made_to_be_long_to_read_is_searched_all_the_same_and_does_not_grow(media_type, body):
    assert [len(one) <= len(body) for one in unescaped.forms(media_type, body)] in ([True], [True, True], [True] * 3)
