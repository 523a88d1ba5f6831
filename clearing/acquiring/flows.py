"""What happens to the receivable of the acquirer, as entries by aggregate. Pure.

The close books fares: the acquirer owes them. From then on the books follow the charges. What a charge says of each subject is
compared before and after a change, and the difference flows:

| Flow | Debit | Credit |
|---|---|---|
| `declined` | riders' debts | acquirer |
| `recovered` | acquirer | riders' debts |
| `written-off`, `written-off-undone` | who bears it: losses, or carriers | riders' debts (or the other way round) |
| `refunded` | losses | acquirer: an allowance by two persons, as far as it is no correction of a fare |
| `charged-back`, `chargeback-won` | chargebacks | acquirer (or the other way round) |
| `lost` | losses | chargebacks |
| `settled` | bank, and fees | acquirer |

A fare that is priced less after its money was taken needs nothing here: the close takes it off the receivable, and the
acquirer settles the refund against it. So the receivable is at all times what the charges still have to bring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from clearing.ledger.chart import (
    acquirer_account,
    bank_account,
    chargeback_account,
    debt_account,
    fees_account,
    losses_account,
)
from clearing.ledger.entries import Entry, entry_of

_NO_PARTY = "acquirer"


@dataclass(frozen=True)
class Position:
    """What a charge says of what is booked about it.

    Attributes:
        owed_minor: declined and not paid, given up or not.
        borne: of a debt that was given up, by account who bears it.
        let_off_minor: by two persons, and no more than the fares are.
        disputed_minor: charged back and not won; `lost_minor` of it is lost.
        settled_minor: as statements have it, refunds and chargebacks taken off; `fee_minor` is what was kept of it.
    """

    owed_minor: int = 0
    borne: Mapping[str, int] = field(default_factory=dict)
    let_off_minor: int = 0
    disputed_minor: int = 0
    lost_minor: int = 0
    settled_minor: int = 0
    fee_minor: int = 0


@dataclass(frozen=True)
class Change:
    """A charge before and after something, and the service day in whose books it is."""

    day: str
    before: Position
    after: Position


Legs = dict[str, int]
_NAMES = {
    "debt": ("declined", "recovered"),
    "written-off": ("written-off", "written-off-undone"),
    "allowance": ("refunded", "refunded-undone"),
    "dispute": ("charged-back", "chargeback-won"),
    "lost": ("lost", "lost-undone"),
    "settled": ("settled", "settled-back"),
}


def legs_by_subject(city: str, party: str, position: Position) -> dict[str, Legs]:
    """What stands on which account for each subject, as this position says."""
    acquirer, debt, losses = acquirer_account(city, party), debt_account(city), losses_account(city)
    dispute, borne_minor = chargeback_account(city, party), sum(position.borne.values())
    received_minor = position.settled_minor - position.fee_minor
    return {
        "debt": {debt: position.owed_minor, acquirer: -position.owed_minor},
        "written-off": {**position.borne, debt: -borne_minor},
        "allowance": {losses: position.let_off_minor, acquirer: -position.let_off_minor},
        "dispute": {dispute: position.disputed_minor, acquirer: -position.disputed_minor},
        "lost": {losses: position.lost_minor, dispute: -position.lost_minor},
        "settled": {
            bank_account(city): received_minor,
            fees_account(city, party or _NO_PARTY): position.fee_minor,
            acquirer: -position.settled_minor,
        },
    }


def flows_of(city: str, party_on: Callable[[str], str], changes: Iterable[Change]) -> dict[tuple[str, str], Legs]:
    """What flows, by service day and name; a subject that rises has another name than one that falls.

    Args:
        city: whose books.
        party_on: names the acquirer of a service day.
        changes: of charges.
    """
    flows: dict[tuple[str, str], Counter[str]] = {}
    for change in changes:
        before, after = (legs_by_subject(city, party_on(change.day), each) for each in (change.before, change.after))
        for subject, names in _NAMES.items():
            legs = Counter(after[subject])
            legs.subtract(before[subject])
            if not any(legs.values()):
                continue
            # Money that changes its bearer, or a fee that is put right, rises by convention.
            name = names[1] if _size(after[subject]) < _size(before[subject]) else names[0]
            flows.setdefault((change.day, name), Counter()).update(legs)
    return {key: dict(legs) for key, legs in flows.items()}


def _size(legs: Legs) -> int:
    return sum(amount for amount in legs.values() if amount > 0)


def entry_for(city: str, day: str, name: str, number: int, legs: Legs) -> Entry | None:
    """The entry of a flow, the number-th of its name on that day."""
    return entry_of(f"acquiring/{city}/{day}/{name}/{number}", city, day, f"{day}: bank cards, {name}", legs)
