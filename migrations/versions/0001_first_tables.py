"""first tables.

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index(
        "uq_api_keys_name",
        "api_keys",
        ["name"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )

    op.create_table(
        "inbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
    )
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"], unique=False)

    op.create_table(
        "notes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes")),
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("episode_id", sa.Text(), nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sa.UniqueConstraint("id", name="uq_outbox_id"),
    )
    op.create_index("ix_outbox_patient", "outbox", ["patient_id", "seq"], unique=False)

    op.create_table(
        "patients",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("sex_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("born", sa.Date(), nullable=True),
        sa.Column("born_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("last_collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("sex IN ('female', 'male', 'other', 'unknown')", name=op.f("ck_patients_sex")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
        sa.UniqueConstraint("identifier", "authority", name="uq_patients_identifier"),
    )
    op.create_table(
        "episodes",
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("peak", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_flag_id", sa.Text(), nullable=False),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolved_at IS NOT NULL) OR state NOT IN ('open', 'resolved')",
            name=op.f("ck_episodes_end"),
        ),
        sa.CheckConstraint(
            "finding IN ('hypercalcemia', 'raised_alp', 'anemia', 'thrombocytopenia', 'pattern')",
            name=op.f("ck_episodes_finding"),
        ),
        sa.CheckConstraint(
            "level IN ('info', 'mild', 'moderate', 'severe', 'critical')", name=op.f("ck_episodes_level")
        ),
        sa.CheckConstraint("peak IN ('info', 'mild', 'moderate', 'severe', 'critical')", name=op.f("ck_episodes_peak")),
        sa.CheckConstraint("state IN ('open', 'resolved', 'withdrawn', 'merged')", name=op.f("ck_episodes_state")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_episodes_patients")),
        sa.PrimaryKeyConstraint("patient_id", "id", name=op.f("pk_episodes")),
    )
    op.create_index(
        "uq_episodes_open",
        "episodes",
        ["patient_id", "finding"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )

    op.create_table(
        "panels",
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("inbox_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("accession", sa.Text(), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pregnant", sa.Boolean(), nullable=True),
        sa.Column("trimester", sa.Integer(), nullable=True),
        sa.Column("age_years", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.CheckConstraint("trimester BETWEEN 1 AND 3", name=op.f("ck_panels_trimester")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("fk_panels_patients")),
        sa.PrimaryKeyConstraint("patient_id", "id", name=op.f("pk_panels")),
    )
    op.create_index("ix_panels_id", "panels", ["id"], unique=True)

    op.create_table(
        "flags",
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("analyte", sa.Text(), nullable=True),
        sa.Column("grade", sa.Text(), nullable=True),
        sa.Column("classification", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=True),
        sa.Column("at_least", sa.Boolean(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ruleset", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("panel_id", sa.Text(), nullable=False),
        sa.Column("episode_id", sa.Text(), nullable=False),
        sa.Column("superseded_by", sa.Text(), nullable=True),
        sa.Column("note_id", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("explanation", sa.JSON(), nullable=False),
        sa.Column("basis", sa.JSON(), nullable=False),
        sa.CheckConstraint("direction IN ('low', 'high')", name=op.f("ck_flags_direction")),
        sa.CheckConstraint(
            "finding IN ('hypercalcemia', 'raised_alp', 'anemia', 'thrombocytopenia', 'pattern')",
            name=op.f("ck_flags_finding"),
        ),
        sa.CheckConstraint(
            "severity IN ('info', 'mild', 'moderate', 'severe', 'critical')", name=op.f("ck_flags_severity")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'acknowledged', 'resolved', 'superseded', 'withdrawn')", name=op.f("ck_flags_state")
        ),
        sa.ForeignKeyConstraint(["note_id"], ["notes.id"], name=op.f("fk_flags_notes")),
        sa.ForeignKeyConstraint(
            ["patient_id", "episode_id"], ["episodes.patient_id", "episodes.id"], name=op.f("fk_flags_episodes")
        ),
        sa.PrimaryKeyConstraint("patient_id", "id", name=op.f("pk_flags")),
    )
    op.create_index("ix_flags_collected_at", "flags", ["collected_at", "id"], unique=False)
    op.create_index("ix_flags_history", "flags", ["patient_id", "collected_at", "id"], unique=False)
    op.create_index("ix_flags_id", "flags", ["id"], unique=True)
    op.create_index("ix_flags_state", "flags", ["state", "collected_at", "id"], unique=False)
    op.create_index(
        "uq_flags_standing",
        "flags",
        ["patient_id", "subject", "finding"],
        unique=True,
        sqlite_where=sa.text("state NOT IN ('superseded', 'withdrawn')"),
        postgresql_where=sa.text("state NOT IN ('superseded', 'withdrawn')"),
    )

    op.create_table(
        "results",
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("panel_id", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("analyte", sa.Text(), nullable=True),
        sa.Column("analyte_sent", sa.Text(), nullable=True),
        sa.Column("code_system", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("sender_id", sa.Text(), nullable=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("comparator", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("range_low", sa.Text(), nullable=True),
        sa.Column("range_high", sa.Text(), nullable=True),
        sa.Column("range_unit", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pregnant", sa.Boolean(), nullable=True),
        sa.Column("trimester", sa.Integer(), nullable=True),
        sa.Column("age_years", sa.Integer(), nullable=True),
        sa.Column("ruleset", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('registered', 'preliminary', 'final', 'appended', 'amended', 'corrected', 'cancelled', "
            "'entered-in-error', 'unknown')",
            name=op.f("ck_results_status"),
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_results_version")),
        sa.ForeignKeyConstraint(
            ["patient_id", "panel_id"], ["panels.patient_id", "panels.id"], name=op.f("fk_results_panels")
        ),
        sa.PrimaryKeyConstraint("patient_id", "id", "version", name=op.f("pk_results")),
        sa.UniqueConstraint("patient_id", "identity", "version", name="uq_results_identity"),
    )
    op.create_index(
        "uq_results_current",
        "results",
        ["patient_id", "identity"],
        unique=True,
        sqlite_where=sa.text("current"),
        postgresql_where=sa.text("current"),
    )

    op.create_table(
        "verdicts",
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("result_id", sa.Text(), nullable=False),
        sa.Column("result_version", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ruleset", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("analyte", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("hint", sa.Text(), nullable=True),
        sa.Column("finding", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("grade", sa.Text(), nullable=True),
        sa.Column("classification", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=True),
        sa.Column("at_least", sa.Boolean(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("context", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint(
            "outcome <> 'flagged' OR (finding IS NOT NULL AND severity IS NOT NULL)", name=op.f("ck_verdicts_finding")
        ),
        sa.CheckConstraint("outcome <> 'not_judged' OR reason IS NOT NULL", name=op.f("ck_verdicts_reason")),
        sa.CheckConstraint(
            "outcome IN ('flagged', 'clear', 'not_judged', 'rejected')", name=op.f("ck_verdicts_outcome")
        ),
        sa.CheckConstraint("standing IN ('raised', 'absent', 'unknown')", name=op.f("ck_verdicts_standing")),
        sa.ForeignKeyConstraint(
            ["patient_id", "result_id", "result_version"],
            ["results.patient_id", "results.id", "results.version"],
            name=op.f("fk_verdicts_results"),
        ),
        sa.PrimaryKeyConstraint("patient_id", "id", name=op.f("pk_verdicts")),
    )
    op.create_index(
        "uq_verdicts_current",
        "verdicts",
        ["patient_id", "result_id"],
        unique=True,
        sqlite_where=sa.text("current"),
        postgresql_where=sa.text("current"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_verdicts_current", "verdicts", sqlite_where=sa.text("current"), postgresql_where=sa.text("current")
    )

    op.drop_table("verdicts")
    op.drop_index("uq_results_current", "results", sqlite_where=sa.text("current"), postgresql_where=sa.text("current"))

    op.drop_table("results")
    op.drop_index(
        "uq_flags_standing",
        "flags",
        sqlite_where=sa.text("state NOT IN ('superseded', 'withdrawn')"),
        postgresql_where=sa.text("state NOT IN ('superseded', 'withdrawn')"),
    )
    op.drop_index("ix_flags_state", "flags")
    op.drop_index("ix_flags_id", "flags")
    op.drop_index("ix_flags_history", "flags")
    op.drop_index("ix_flags_collected_at", "flags")

    op.drop_table("flags")
    op.drop_index("ix_panels_id", "panels")

    op.drop_table("panels")
    op.drop_index(
        "uq_episodes_open",
        "episodes",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )

    op.drop_table("episodes")
    op.drop_table("patients")
    op.drop_index("ix_outbox_patient", "outbox")

    op.drop_table("outbox")
    op.drop_table("notes")
    op.drop_index("ix_inbox_received_at", "inbox")

    op.drop_table("inbox")
    op.drop_index(
        "uq_api_keys_name",
        "api_keys",
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )

    op.drop_table("api_keys")
