"""The service as it would be written in an afternoon: Flask, marshmallow and the ORM. A baseline.

It stores panels, results and flags, with limits in a dictionary: no versions, no episodes, no explanations, no keys.

Law: plain, and not slowed on purpose: one schema, one session and one commit for each request.
"""

import os
from datetime import datetime

from flask import Flask, Response, jsonify, request
from marshmallow import Schema, fields
from sqlalchemy import DateTime, ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

ADDRESS = os.environ["LAB_ALERTS_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
# Above or below which a finding is raised, where the laboratory sent no range.
LIMITS = {"calcium": (8.8, 10.4), "alkaline_phosphatase": (40, 130), "hemoglobin": (12.6, 16), "platelets": (150, 450)}
FINDINGS = {
    "calcium": ("hypercalcemia", "high"),
    "alkaline_phosphatase": ("raised_alp", "high"),
    "hemoglobin": ("anemia", "low"),
    "platelets": ("thrombocytopenia", "low"),
}
CODES = {"17861-6": "calcium", "6768-6": "alkaline_phosphatase", "718-7": "hemoglobin", "777-3": "platelets"}


class Base(DeclarativeBase):
    """Every table."""


class Panel(Base):
    """A panel."""

    __tablename__ = "panels"
    id: Mapped[int] = mapped_column(primary_key=True)
    patient: Mapped[str] = mapped_column(index=True)
    accession: Mapped[str | None]
    collected_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    results: Mapped[list["Result"]] = relationship(back_populates="panel")


class Result(Base):
    """A result."""

    __tablename__ = "results"
    id: Mapped[int] = mapped_column(primary_key=True)
    panel_id: Mapped[int] = mapped_column(ForeignKey("panels.id"), index=True)
    analyte: Mapped[str]
    value: Mapped[float]
    unit: Mapped[str]
    low: Mapped[float | None]
    high: Mapped[float | None]
    panel: Mapped[Panel] = relationship(back_populates="results")
    flags: Mapped[list["Flag"]] = relationship(back_populates="result")


class Flag(Base):
    """A flag."""

    __tablename__ = "flags"
    id: Mapped[int] = mapped_column(primary_key=True)
    result_id: Mapped[int] = mapped_column(ForeignKey("results.id"), index=True)
    finding: Mapped[str]
    value: Mapped[float]
    limit: Mapped[float]
    result: Mapped[Result] = relationship(back_populates="flags")


class PatientSchema(Schema):
    """A patient."""

    id = fields.String(required=True)
    authority = fields.String()
    sex = fields.String()
    birth_date = fields.Date()


class RangeSchema(Schema):
    """A range."""

    low = fields.Float()
    high = fields.Float()


class ResultSchema(Schema):
    """A result."""

    analyte = fields.String()
    code = fields.String()
    value = fields.Float(required=True)
    unit = fields.String(required=True)
    reference_range = fields.Nested(RangeSchema)


class PanelSchema(Schema):
    """A panel."""

    patient = fields.Nested(PatientSchema, required=True)
    accession = fields.String()
    collected_at = fields.AwareDateTime(required=True)
    results = fields.List(fields.Nested(ResultSchema), required=True)


engine = create_engine(ADDRESS)
schema = PanelSchema()
app = Flask(__name__)


@app.get("/")
def ready() -> Response:
    """It answers."""
    return jsonify(status="pass")


@app.post("/v1/panels")
def send() -> tuple[Response, int]:
    """Check a panel, store it with its results and flags, answer the flags."""
    data = schema.load(request.get_json())
    panel = Panel(patient=data["patient"]["id"], accession=data.get("accession"), collected_at=data["collected_at"])
    panel.results = [_result(one) for one in data["results"]]
    with Session(engine) as session:
        session.add(panel)
        session.commit()
        return jsonify(id=panel.id, flags=[_shown(flag) for one in panel.results for flag in one.flags]), 201


def _result(data: dict[str, object]) -> Result:
    analyte = str(data.get("analyte") or CODES[str(data["code"])])
    range_ = data.get("reference_range")
    low, high = (range_["low"], range_["high"]) if isinstance(range_, dict) else LIMITS[analyte]
    result = Result(analyte=analyte, value=data["value"], unit=data["unit"], low=low, high=high)
    finding, side = FINDINGS[analyte]
    if (result.value > high) if side == "high" else (result.value < low):
        limit = high if side == "high" else low
        result.flags = [Flag(finding=finding, value=result.value, limit=limit)]
    return result


def _shown(flag: Flag) -> dict[str, object]:
    return {"id": flag.id, "finding": flag.finding, "why": f"{flag.value} is beyond {flag.limit}"}


if __name__ == "__main__":
    Base.metadata.create_all(engine)
