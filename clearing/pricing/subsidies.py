"""What the payers of concessions owe: for each ride that cost less because of who rode. The rule is pure.

Owed is the agreed price of a ride, or else an adult's fare of that medium and day, less what the rider was charged. Where an
adult would have ridden for less as well (a transfer, a free day, a fault of ours, the same ride again), only the difference to
that is owed, and for what a pass or a cap has paid already, nothing: nobody pays for a ride twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.network.package import ADULT
from clearing.pricing.models import Fare
from clearing.pricing.terms import DayTariff
from clearing.pricing.walk import Priced

_FREE_FOR_ALL = frozenset({"free_day", "our_fault", "same_vehicle", "pass", "cap", "not_in_tariff"})


@dataclass(frozen=True)
class Subsidy:
    """What is owed for the rides of one category with one carrier on a day."""

    carrier: str
    category: int
    rides: int
    subsidy_minor: int


def subsidy_minor(priced: Priced, tariff: DayTariff) -> int:
    """What the payer of the rider's concession owes for a ride; 0 for an adult."""
    facts = priced.facts
    if facts.category == ADULT or priced.rule in _FREE_FOR_ALL:
        return 0
    worth_minor = tariff.rules.agreed_minor.get(facts.category)
    if worth_minor is None:
        adult = tariff.single_minor(facts._replace(category=ADULT))
        worth_minor = 0 if adult is None else adult
    if priced.rule == "transfer" and tariff.rules.transfer is not None:
        worth_minor = min(worth_minor, tariff.rules.transfer.fare_minor)
    holder_minor = max(0, priced.charged_minor - priced.terms.others * priced.terms.others_minor)
    return max(0, worth_minor - holder_minor)


def subsidies_of(session: Session, city: str, day: str) -> list[Subsidy]:
    """What is owed for a priced day, by carrier and category."""
    rows = session.execute(
        select(Fare.carrier, Fare.category, func.count(), func.sum(Fare.subsidy_minor))
        .where(Fare.city == city, Fare.service_day == day, Fare.subsidy_minor > 0)
        .group_by(Fare.carrier, Fare.category)
        .order_by(Fare.carrier, Fare.category)
    )
    return [Subsidy(carrier, category, rides, int(owed)) for carrier, category, rides, owed in rows]
