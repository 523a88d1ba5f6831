"""Money is integer tiyn (1 tenge = 100 tiyn); it is read, written and divided here, and nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

MINOR_PER_MAJOR = 100
_AMOUNT = re.compile(r"(-?)([0-9]{1,15})(?:[.,]([0-9]{1,2}))?")
_PERCENT_STEP = Decimal("0.01")


def format_minor(amount_minor: int) -> str:
    """The amount in tenge with two decimals and a point, `-0.05` included."""
    major, minor = divmod(abs(amount_minor), MINOR_PER_MAJOR)
    return f"{'-' if amount_minor < 0 else ''}{major}.{minor:02d}"


def parse_minor(text: str) -> int:
    """Tiyn of an amount in tenge, such as `120`, `120.5` or `-0,05`.

    Raises:
        ValueError: not an amount.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not an amount in tenge: {text!r}; write 120 or 120.50")
    sign, major, minor = match.groups()
    amount_minor = int(major) * MINOR_PER_MAJOR + int((minor or "0").ljust(2, "0"))
    return -amount_minor if sign else amount_minor


def split_minor(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """Divide an amount in proportion to weights so that the parts add up to it exactly.

    What rounding leaves over goes, a tiyn each, to the largest remainders; among equals, to the first.

    Raises:
        ValueError: no weight, a negative one, or all of them zero.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("weights must not be negative and one must be positive")
    sign, rest = (-1, -amount_minor) if amount_minor < 0 else (1, amount_minor)
    parts = [rest * weight // total for weight in weights]
    left_over = rest - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda index: -(rest * weights[index] % total))
    for index in by_remainder[:left_over]:
        parts[index] += 1
    return [sign * part for part in parts]


def as_number(percentage: Decimal | None) -> float | None:
    """A percentage for JSON, which knows no decimals."""
    return None if percentage is None else float(percentage)


def percent(part: int, whole: int) -> Decimal | None:
    """Part of whole in per cent, two decimals, half to even; absent when there is no whole."""
    if whole == 0:
        return None
    return (Decimal(part) * 100 / Decimal(whole)).quantize(_PERCENT_STEP, ROUND_HALF_EVEN)
