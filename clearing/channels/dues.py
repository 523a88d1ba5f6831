"""What parties owe for what they took from riders, when it is due, and what has come. Pure.

A service day's takings, less the commission that the party keeps (rounded down), are due so many days after the day. Money that
says for which day it is pays that day; the rest pays the oldest debt first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

_ALL_BP = 10_000


@dataclass(frozen=True)
class Due:
    """One party's takings of one service day.

    Attributes:
        party_kind: `qr_provider`, `sms_aggregator`, `agent` or `carrier` (for its cash).
        gross_minor: taken from riders, refunds left out.
        paid_minor: of the net, as far as it has come; never more than the net.
    """

    party_kind: str
    party: str
    service_day: str
    gross_minor: int
    commission_minor: int
    due_day: str
    paid_minor: int = 0

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.commission_minor

    @property
    def open_minor(self) -> int:
        return self.net_minor - self.paid_minor

    def is_overdue(self, today: str) -> bool:
        return self.open_minor > 0 and self.due_day < today


@dataclass(frozen=True)
class Paid:
    """Money of a party that has come; `service_day` is absent where nobody says for which day."""

    amount_minor: int
    service_day: str | None


def commission_of(gross_minor: int, commission_bp: int) -> int:
    """What a party keeps of its takings."""
    return gross_minor * commission_bp // _ALL_BP


def commission_within(net_minor: int, commission_bp: int) -> int:
    """What a party has kept of takings of which so much has come: the least commission that fits."""
    if commission_bp >= _ALL_BP:
        return 0
    gross_minor = -(-net_minor * _ALL_BP // (_ALL_BP - commission_bp))
    return commission_of(gross_minor, commission_bp)


def due_of(party_kind: str, party: str, service_day: str, gross_minor: int, commission_bp: int, term_days: int) -> Due:
    """What a party owes for a service day, nothing of it paid yet."""
    due_day = (date.fromisoformat(service_day) + timedelta(days=term_days)).isoformat()
    commission_minor = commission_of(gross_minor, commission_bp)
    return Due(party_kind, party, service_day, gross_minor, commission_minor, due_day)


def allocate(dues: Iterable[Due], payments: Sequence[Paid]) -> tuple[list[Due], int]:
    """One party's dues with what has come for them, oldest first; and what has come beyond them."""
    ordered = sorted(dues, key=lambda due: due.service_day)
    open_minor = {due.service_day: due.net_minor for due in ordered}
    left_minor = 0
    for payment in payments:
        rest_minor = payment.amount_minor
        if payment.service_day in open_minor:
            taken_minor = min(rest_minor, max(0, open_minor[payment.service_day]))
            open_minor[payment.service_day] -= taken_minor
            rest_minor -= taken_minor
        left_minor += rest_minor
    for due in ordered:
        taken_minor = min(left_minor, max(0, open_minor[due.service_day]))
        open_minor[due.service_day] -= taken_minor
        left_minor -= taken_minor
    return [replace(due, paid_minor=due.net_minor - open_minor[due.service_day]) for due in ordered], left_minor
