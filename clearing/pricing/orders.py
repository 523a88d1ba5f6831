"""In which order a medium rode, where clocks leave a doubt: of the orders that are possible the rider gets the cheapest. Pure.

Rides whose moments may overlap form a cluster. Within it every order is tried that no clock and no validator contradicts: who
was certainly earlier stays so, and one validator's records keep their sequence. Of orders that cost the same the plain one is
taken, so the same rides always have the same order. Of many orders only the first ones are tried, nearest to the plain one; and
a cluster of more rides than anybody makes in so short a time keeps the plain one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar

ORDERS_MAX = 120
_CLUSTER_MAX = 12


class Placed(Protocol):
    """What has a place in time.

    Attributes:
        day: of the service, its number.
        from_s, to_s: between these moments it was.
        validator: whose record it is, with the life of its journal; absent for what came by a channel.
    """

    @property
    def day(self) -> int: ...
    @property
    def from_s(self) -> int: ...
    @property
    def to_s(self) -> int: ...
    @property
    def validator(self) -> tuple[bytes, int] | None: ...
    @property
    def sequence(self) -> int: ...


Each = TypeVar("Each", bound=Placed)


def cheapest_order(rides: Sequence[Each], total_minor: Callable[[Sequence[Each]], int]) -> list[Each]:
    """The rides of one medium, in plain order, put into the order that costs its rider least."""
    settled: list[Each] = []
    for cluster in _clusters(rides):
        chosen: Sequence[Each] = cluster
        if 1 < len(cluster) <= _CLUSTER_MAX and any(ride.from_s < ride.to_s for ride in cluster):
            orders = islice(_possible_orders(cluster), ORDERS_MAX)
            # The first of equals is the plain order, or the nearest to it.
            chosen = min(orders, key=lambda order: total_minor([*settled, *order]), default=cluster)
        settled += chosen
    return settled


def _clusters(rides: Sequence[Each]) -> list[list[Each]]:
    """Rides that may have been at one time, together; the clusters, and the rides in each, in plain order."""
    clusters: list[tuple[int, int, list[int]]] = []
    for place, ride in sorted(enumerate(rides), key=lambda each: (each[1].day, each[1].from_s, each[0])):
        if clusters and clusters[-1][0] == ride.day and ride.from_s <= clusters[-1][1]:
            clusters[-1][2].append(place)
            clusters[-1] = (ride.day, max(clusters[-1][1], ride.to_s), clusters[-1][2])
        else:
            clusters.append((ride.day, ride.to_s, [place]))
    return [[rides[place] for place in sorted(places)] for _, _, places in clusters]


def _possible_orders(rides: Sequence[Each]) -> Iterator[list[Each]]:
    """Every order that nothing contradicts, beginning with the plain one where it is possible."""
    if not rides:
        yield []
    for place, ride in enumerate(rides):
        others = [*rides[:place], *rides[place + 1 :]]
        if not any(_must_precede(other, ride) for other in others):
            yield from ([ride, *order] for order in _possible_orders(others))


def _must_precede(one: Placed, other: Placed) -> bool:
    if one.validator is not None and one.validator == other.validator:
        return one.sequence < other.sequence
    return one.to_s < other.from_s
