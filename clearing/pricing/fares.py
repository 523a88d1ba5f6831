"""What one ride by itself costs: the dated tariff by medium and category, held against what the bus charged. Pure.

The rider has the benefit: charged less on the bus (by a rule of the city, or an older fare table) stays so; charged more is
corrected by a refund. An amount that no fare can have (a damaged or stolen validator) is not believed: the tariff counts, and
so no such record can bring a day's sums out of range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clearing.network.tariff_rules import TariffRules
from clearing.pricing.facts import RideFacts
from clearing.pricing.reasons import TEXTS, explain
from clearing.pricing.terms import DayTariff, cash_minor_of
from clearing.pricing.walk import price_rides

__all__ = ["TEXTS", "Price", "explain", "price_ride"]
_DAY = "2000-01-01"


@dataclass(frozen=True)
class Price:
    """The price of one ride.

    Attributes:
        scheduled_minor: by the tariff; what the bus charged where the tariff has no such ride.
        charged_minor: what the rider bears.
        correction_minor: taken on the bus beyond that; owed back.
        cash_minor: an adult's cash fare of the day, absent where cash is not taken.
        reason: key of `TEXTS`.
    """

    scheduled_minor: int
    charged_minor: int
    correction_minor: int
    cash_minor: int | None
    reason: str


def price_ride(
    tariff: Mapping[tuple[str, int], int], medium: str, category: int, taken_minor: int, product: int | None = None
) -> Price:
    """Price a ride for which the bus says that `taken_minor` was taken, or is to be, by the prices alone.

    `product` is what the bus says it sold (`protocol.tap.PRODUCT_…`); it explains a lower fare and never makes a higher one.
    """
    facts = RideFacts(
        source="tap",
        source_key="",
        device_id=None,
        epoch=None,
        sequence=None,
        day=_DAY,
        carrier="",
        vehicle="",
        line=None,
        stop=None,
        off_stop=None,
        medium=medium,
        category=category,
        token=None,
        ridden_at_s=0,
        at_s=0,
        before_s=0,
        after_s=0,
        taken_minor=taken_minor,
        product=product,
    )
    day = DayTariff(_DAY, tariff, TariffRules())
    (priced,) = price_rides([facts], [], {_DAY: day}, lambda _: _DAY)
    scheduled_minor = priced.terms.scheduled_minor
    return Price(scheduled_minor, priced.charged_minor, priced.correction_minor, cash_minor_of(day), priced.rule)
