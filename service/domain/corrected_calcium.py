"""Albumin-corrected calcium: shown beside a total calcium with its formula and its caveats.

Law: it decides nothing. It neither raises nor silences a flag, and a calcium that the laboratory has already
corrected is never corrected again.

Formula: the conventional 0.8/0.02 correction, commonly labelled "Payne" although Payne et al. (BMJ 1973;4:643-646)
published other coefficients. Limits of it: Lian and Åsberg, BMJ Open 2018;8:e017703; Clase et al., Nephrol Dial
Transplant 2000; University Hospitals Birmingham (unreliable at albumin below 25 g/L).
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from service.domain.appraise import Read, read_value
from service.domain.quantities import EXACT, plain
from service.domain.rulesets import Rulebook
from service.domain.timeline import Collection, Held
from service.domain.verdicts import Verdict

TOTAL, ALBUMIN = "calcium", "albumin"
ALREADY_BETTER = frozenset({"calcium_corrected", "calcium_ionized"})

_FORMULA = {
    "mg/dL": ("calcium + 0.8 x (4.0 - albumin in g/dL)", Decimal("0.08")),  # per g/L of albumin
    "mmol/L": ("calcium + 0.02 x (40 - albumin in g/L)", Decimal("0.02")),
}
_ANCHOR = Decimal(40)  # g/L
_UNRELIABLE_BELOW = Decimal(25)  # g/L
_CAVEATS = (
    "shown for information; no flag is raised or silenced by it",
    "in kidney disease and critical illness it agrees less well with ionized calcium than the uncorrected value",
    "not valid in children; ionized calcium is the better test when in doubt",
)


def beside(collection: Collection, rulebook: Rulebook) -> Mapping[str, Mapping[str, object]]:
    """The corrected value for each total calcium, by result; none where it cannot or must not be computed."""
    albumins = [one for one in collection.results if one.analyte == ALBUMIN]
    if len(albumins) != 1:
        return {}
    albumin = _number(albumins[0], rulebook)
    better = (one for one in collection.results if one.analyte in ALREADY_BETTER)
    if albumin is None or any(_read(one, rulebook) for one in better):
        return {}
    totals = ((one.key, _number(one, rulebook)) for one in collection.results if one.analyte == TOTAL)
    return {
        key: {"albumin_corrected_calcium": _corrected(calcium, albumin.measured.number)}
        for key, calcium in totals
        if calcium is not None
    }


def _read(held: Held, rulebook: Rulebook) -> Read | None:
    read = read_value(held, rulebook) if held.status.judged else None
    return None if isinstance(read, Verdict) else read


def _number(held: Held, rulebook: Rulebook) -> Read | None:
    read = _read(held, rulebook)
    return read if read is not None and read.measured.exact else None


def _corrected(calcium: Read, albumin: Decimal) -> dict[str, object]:
    family = calcium.unit.family
    formula, slope = _FORMULA[family]
    measured = EXACT.divide(calcium.measured.number, calcium.analyte.units[family].factor)
    value = measured + slope * (_ANCHOR - albumin)
    low = (f"unreliable at albumin below {_UNRELIABLE_BELOW} g/L",) if albumin < _UNRELIABLE_BELOW else ()
    return {
        "value": str(value.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)),
        "unit": family,
        "albumin": f"{plain(albumin)} g/L",
        "formula": formula,
        "caveats": [*low, *_CAVEATS],
    }
