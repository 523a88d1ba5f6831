"""Whether money that was paid for a card has come onto it: sold, applied, and the card's own balance, side by side. Pure.

A system that trusts its own word never notices a top-up that was paid and not loaded. Here the card is the third witness: each
ride tells its counter and its balance, and between two of them the balance has changed by the fare and by what was loaded.

What was sold waits for a witness. Where the counter shows no commit that nobody has seen, the balance must fit exactly. Where it
shows some (a load at a desk is one, a ride whose tap was lost another), what was loaded pays off what was sold, oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from clearing.network.package import FARE_MINOR_MAX

PAID_NOT_LOADED = "paid_not_loaded"
WAITS_THOUGH_SEEN = "waits_though_seen"
LOADED_NOT_SOLD = "loaded_not_sold"
APPLIED_NOT_ON_CARD = "applied_not_on_card"
APPLIED = "applied"
WAITING = "waiting"


@dataclass(frozen=True)
class Sale:
    """Money that was taken for a card.

    Attributes:
        status: `loaded` where whoever took it says that it has loaded it, else how far it is on its way to the card: `waiting`,
            `applied`, `expired` or `refunded`.
    """

    reference: str
    token: bytes
    amount_minor: int
    at_s: int
    status: str


@dataclass(frozen=True)
class Sighting:
    """A card after it has committed a ride or a top-up on a bus.

    Attributes:
        counter: after the commit.
        loaded_minor: by this commit; 0 for a ride.
        fare_minor: taken by this commit; 0 for a top-up.
    """

    token: bytes
    counter: int
    balance_minor: int
    at_s: int
    fare_minor: int = 0
    loaded_minor: int = 0


@dataclass(frozen=True)
class Difference:
    """What two of the three say differently.

    Attributes:
        kind: one of the names above.
        reference: of the sale; empty where there is none.
        at_s: of the sale, or of the card's word.
    """

    kind: str
    token: bytes
    reference: str
    amount_minor: int
    at_s: int


@dataclass
class ThreeWay:
    """The check of some sales.

    Attributes:
        sold_minor, applied_minor, loaded_minor: of all sales; that the validators' reports say; that the cards' balances say.
        unseen: sales whose card was not seen since: nobody can say yet.
    """

    sold: int = 0
    sold_minor: int = 0
    applied_minor: int = 0
    loaded_minor: int = 0
    unseen: int = 0
    differences: list[Difference] = field(default_factory=list)


def check_three_ways(sales: Iterable[Sale], sightings: Iterable[Sighting]) -> ThreeWay:
    """Hold sales, reports and balances against each other."""
    found = ThreeWay()
    by_card: dict[bytes, tuple[list[Sale], dict[int, Sighting]]] = {}
    for sale in sales:
        by_card.setdefault(sale.token, ([], {}))[0].append(sale)
        found.sold += 1
        found.sold_minor += sale.amount_minor
        found.applied_minor += sale.amount_minor if sale.status == APPLIED else 0
    for sighting in sightings:
        if sighting.token in by_card:
            by_card[sighting.token][1][sighting.counter] = sighting
    for token in sorted(by_card):
        sold, seen = by_card[token]
        _check_card(found, sorted(sold, key=lambda sale: sale.at_s), [seen[counter] for counter in sorted(seen)])
    found.differences.sort(key=lambda each: (each.at_s, each.reference, each.kind))
    return found


def _check_card(found: ThreeWay, sales: Sequence[Sale], seen: Sequence[Sighting]) -> None:
    at_desk = [sale for sale in sales if sale.status == "loaded"]
    waiting: list[Sale] = []
    for before, after in pairwise(seen):
        waiting += [sale for sale in at_desk if before.at_s < sale.at_s <= after.at_s]
        gained_minor = after.balance_minor - before.balance_minor + after.fare_minor
        found.loaded_minor += after.loaded_minor
        beyond_minor = gained_minor - after.loaded_minor
        unseen = after.counter - before.counter - 1
        if after.loaded_minor and unseen == 0 and beyond_minor == -after.loaded_minor:
            found.differences.append(Difference(APPLIED_NOT_ON_CARD, after.token, "", after.loaded_minor, after.at_s))
        elif beyond_minor > 0:
            found.loaded_minor += beyond_minor
            _pay_off(found, waiting, beyond_minor, unseen, after)
    last_s = seen[-1].at_s if seen else 0
    first_s = seen[0].at_s if seen else 0
    for sale in waiting:
        found.differences.append(Difference(PAID_NOT_LOADED, sale.token, sale.reference, sale.amount_minor, sale.at_s))
    for sale in sales:
        if sale.status == WAITING and sale.at_s < last_s:
            found.differences.append(
                Difference(WAITS_THOUGH_SEEN, sale.token, sale.reference, sale.amount_minor, sale.at_s)
            )
    found.unseen += sum(not first_s < sale.at_s <= last_s for sale in at_desk)
    found.unseen += sum(sale.status == WAITING and sale.at_s >= last_s for sale in sales)


def _pay_off(found: ThreeWay, waiting: list[Sale], gained_minor: int, unseen: int, after: Sighting) -> None:
    """Strike off what was loaded from what was sold; what then is left was sold by nobody who told us.

    The oldest sales that make the amount exactly; else one that does; else the oldest, where rides that nobody has seen explain
    that the balance has grown by less.
    """
    sums = [sum(sale.amount_minor for sale in waiting[:count]) for count in range(len(waiting) + 1)]
    exact = next((count for count in range(1, len(sums)) if sums[count] == gained_minor), 0)
    single = next((sale for sale in waiting if sale.amount_minor == gained_minor), None)
    if exact:
        del waiting[:exact]
        return
    if single is not None:
        waiting.remove(single)
        return
    for count in range(1, min(len(waiting), unseen - 1) + 1):
        if 0 < sums[count] - gained_minor <= (unseen - count) * FARE_MINOR_MAX:
            del waiting[:count]
            return
    while waiting and gained_minor >= waiting[0].amount_minor:
        gained_minor -= waiting.pop(0).amount_minor
    if not waiting:
        found.differences.append(Difference(LOADED_NOT_SOLD, after.token, "", gained_minor, after.at_s))
