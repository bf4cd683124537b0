"""Numbers as a laboratory sends them: exact decimals, possibly with a comparator.

Law: nothing is rounded and nothing is guessed. A comparison with a number that is only known as "below 5" answers
true, false or None ("cannot be told").
"""

import re
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from enum import StrEnum

from service.domain.drafts import drafted

MAX_DIGITS = 30
MAX_EXPONENT = 30

# Every product of two accepted numbers fits; anything that would have to be rounded raises instead.
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, Overflow])

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


class Comparator(StrEnum):
    """How the true value lies to the number sent (FHIR R4 Quantity.comparator). ``NONE``: it is the number."""

    NONE = ""
    LESS = "<"
    AT_MOST = "<="
    AT_LEAST = ">="
    MORE = ">"


# The members once more: to look one up in its class takes longer than the comparison of two numbers.
_NONE, _LESS, _AT_MOST = Comparator.NONE, Comparator.LESS, Comparator.AT_MOST
_AT_LEAST, _MORE = Comparator.AT_LEAST, Comparator.MORE


def parse_decimal(text: str) -> Decimal:
    """The number in ``text``, every digit kept (``3.50`` stays ``3.50``).

    Raises ``ValueError`` when it is not a plain decimal number, or has more than 30 digits or powers of ten.
    """
    if len(text) > 2 * MAX_DIGITS or not _NUMBER.fullmatch(text):
        raise ValueError("not a decimal number")
    number = Decimal(text)
    if len(number.as_tuple().digits) > MAX_DIGITS or abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError("a number with too many digits")
    return number


def plain(number: Decimal) -> str:
    """The number in plain digits without superfluous zeros: ``Decimal('1.50E+2')`` reads ``150``."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a result says about the true value, in one unit. With ``upper`` it lies between the number and that."""

    number: Decimal = field(repr=False)
    comparator: Comparator = field(default=Comparator.NONE, repr=False)
    upper: Decimal | None = field(default=None, repr=False)

    @property
    def exact(self) -> bool:
        """Is it the number itself, and not only known to lie on one side of it?"""
        return self.comparator is _NONE and self.upper is None

    def above(self, limit: Decimal) -> bool | None:
        """Is the true value above ``limit``? None when it may be or not."""
        if self.comparator is _NONE:
            if self.upper is None or self.number > limit:
                return self.number > limit
            return False if self.upper <= limit else None
        if self.comparator is _MORE:
            return self.number >= limit or None
        if self.comparator is _AT_LEAST:
            return self.number > limit or None
        # At most, or less than, the number: it may be anything below it.
        return False if self.number <= limit else None

    def below(self, limit: Decimal) -> bool | None:
        """Is the true value below ``limit``? None when it may be or not."""
        if self.comparator is _NONE:
            if self.upper is None or self.number >= limit:
                return self.number < limit
            return self.upper < limit or None
        if self.comparator is _LESS:
            return self.number <= limit or None
        if self.comparator is _AT_MOST:
            return self.number < limit or None
        return False if self.number >= limit else None

    def times(self, factor: Decimal) -> "Measured":
        """The same in another unit; ``factor`` is positive and exact."""
        upper = None if self.upper is None else EXACT.multiply(self.upper, factor)
        return Measured(number=EXACT.multiply(self.number, factor), comparator=self.comparator, upper=upper)


new_measured = drafted(Measured)
