"""Pricing many rides of many media: they are put in order, laid out in columns, folded, and told why. Pure.

In goes what pricing knows of each ride, what the fares of earlier days say of the same media, and the tariffs of the days met.
The order in which anything is given means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from clearing.pricing import fold as folding
from clearing.pricing.facts import RideFacts
from clearing.pricing.fold import Fares, Rides, Rules, fold
from clearing.pricing.orders import cheapest_order
from clearing.pricing.reasons import CODES, RULES
from clearing.pricing.terms import DayTariff, RuleTable, Terms, day_number, month_number, terms_of

Fold = Callable[[Rides, Rules], Fares]
_NOTHING_TERMS = Terms("", folding.KNOWN, 0, 0, 0, 0, 0, 0, 0)
# Rules that make a ride part of the journey of an earlier one.
_GOES_ON = frozenset({folding.TRANSFER, folding.SAME_VEHICLE})


class Before(NamedTuple):
    """A fare of an earlier day, or several of one medium and category added up, as far as it bears on the rides to be priced.

    Attributes:
        key: `source/source key`; empty for a sum, which only counts towards caps.
        journey_key: of the ride that opened its journey.
        others: further riders for whom it paid.
    """

    token: bytes
    day: str
    medium: str
    category: int
    carrier: str
    vehicle: str
    line: int | None
    at_s: int
    charged_minor: int
    rule: str
    key: str = ""
    journey_key: str = ""
    others: int = 0


class Priced(NamedTuple):
    """A ride with its fare.

    Attributes:
        due_minor: by the rules, before it was held against what the bus took.
        number: as of `clearing.pricing.fold.Fares`.
        earlier_key, after_s: the ride by which it was cheaper, and how long ago that was.
        journey_key: of the ride that opened its journey; its own where it did so itself.
    """

    facts: RideFacts
    terms: Terms
    charged_minor: int
    due_minor: int
    rule: str
    number: int
    earlier_key: str | None
    after_s: int
    journey_key: str

    @property
    def correction_minor(self) -> int:
        """Taken or shown beyond the fare; owed back where it was taken. An amount that cannot be is not believed."""
        return max(0, self.terms.taken_minor - self.charged_minor) if self.is_believed else 0

    @property
    def is_believed(self) -> bool:
        return not self.terms.flags & folding.IMPLAUSIBLE

    @property
    def riders(self) -> int:
        return self.terms.others + 1


class Item(NamedTuple):
    """A ride, or what is known of earlier ones, on its way into the columns."""

    facts: RideFacts | None
    before: Before | None
    terms: Terms
    key: str
    day: int
    month: int
    from_s: int
    to_s: int
    caps: int
    rules: int
    validator: tuple[bytes, int] | None
    sequence: int


def fold_plainly(rides: Rides, rules: Rules) -> Fares:
    """The fold without a compiler."""
    count, places = len(rides.medium), len(rules.cap_period)
    fares = Fares(*([0] * count for _ in Fares._fields))
    fold(rides, rules, fares, [0] * places, [-1] * places)
    return fares


def price_rides(
    rides: Sequence[RideFacts],
    before: Iterable[Before],
    tariffs: Mapping[str, DayTariff],
    day_of: Callable[[int], str],
    run: Fold = fold_plainly,
) -> list[Priced]:
    """Price rides, in no order; so are they returned.

    Args:
        rides: of any media and days.
        before: of earlier days than those of the rides of the same medium.
        tariffs: of every day that a ride may be of.
        day_of: the service day of a moment.
        run: the fold, plain or compiled.
    """
    table = RuleTable(tariffs)
    laying = _Laying(tariffs, table, day_of)
    media = [_in_riders_favour(items, table) for items in laying.by_medium(rides, before)]
    flat = [item for items in media for item in items]
    fares = run(_columns(media), table.rules)
    return list(_told(flat, fares))


def _in_riders_favour(items: list[Item], table: RuleTable) -> list[Item]:
    """Where clocks leave a doubt, what costs the rider less: to take them at their word, or the best that is possible."""
    if all(item.from_s == item.to_s for item in items):
        return items
    plain = [
        item if item.facts is None else item._replace(from_s=item.facts.at_s, to_s=item.facts.at_s) for item in items
    ]
    best = cheapest_order(items, lambda some: _total_minor(some, table))
    return min(plain, best, key=lambda some: _total_minor(some, table))


def _total_minor(items: Sequence[Item], table: RuleTable) -> int:
    return sum(fold_plainly(_columns([items]), table.rules).charged_minor)


class _Laying:
    """Rides and fares before them become items, those of one medium together and in plain order."""

    def __init__(self, tariffs: Mapping[str, DayTariff], table: RuleTable, day_of: Callable[[int], str]) -> None:
        self._tariffs = tariffs
        self._table = table
        self._day_of = day_of
        self._terms: dict[object, Terms] = {}
        self._caps: dict[tuple[str, int], int] = {}
        self._days: dict[str, tuple[int, int]] = {}

    def by_medium(self, rides: Sequence[RideFacts], before: Iterable[Before]) -> Iterator[list[Item]]:
        known: dict[bytes, list[Item]] = {}
        for each in before:
            known.setdefault(each.token, []).append(self._known(each))
        named = sorted(
            (ride for ride in rides if ride.token is not None), key=lambda ride: (ride.token, ride.day, ride.order)
        )
        for token, some in groupby(named, key=lambda ride: ride.token):
            # A sum comes before the fares of its day, which say what was paid last.
            earlier = sorted(
                known.get(token or b"", ()), key=lambda item: (item.day, bool(item.key), item.from_s, item.key)
            )
            yield [*earlier, *map(self._item, some)]
        yield from ([self._item(ride)] for ride in rides if ride.token is None)

    def _known(self, before: Before) -> Item:
        day, month = self._numbers(before.day)
        flags = folding.KNOWN if before.key else folding.KNOWN | folding.SUM
        caps = 0 if before.key else self._caps_of(before.medium, before.category)
        terms = _NOTHING_TERMS._replace(flags=flags, others=before.others)
        return Item(None, before, terms, before.key, day, month, before.at_s, before.at_s, caps, 0, None, 0)

    def _item(self, facts: RideFacts) -> Item:
        terms, (day, month) = self._terms_of(facts), self._numbers(facts.day)
        validator = None if facts.device_id is None else (facts.device_id, facts.epoch or 0)
        # Caps belong to one person; who is not known again can neither have spent before nor used up a quota.
        caps = 0 if terms.others or facts.token is None else self._caps_of(facts.medium, facts.category)
        terms = terms if facts.token is not None or not terms.quota else terms._replace(quota=0)
        return Item(
            facts,
            None,
            terms,
            facts.key,
            day,
            month,
            facts.at_s - facts.before_s,
            facts.at_s + facts.after_s,
            caps,
            self._table.rows[facts.day],
            validator,
            facts.sequence or 0,
        )

    def _terms_of(self, facts: RideFacts) -> Terms:
        """Terms are the same for many rides: they are found once for each kind."""
        other_day = facts.day
        if facts.before_s or facts.after_s:
            days = (self._day_of(facts.at_s - facts.before_s), self._day_of(facts.at_s + facts.after_s))
            other_day = next((day for day in days if day != facts.day and day in self._tariffs), facts.day)
        kind = (
            facts.day,
            other_day,
            facts.source,
            facts.medium,
            facts.category,
            facts.product,
            facts.taken_minor,
            facts.line,
            facts.stop,
            facts.off_stop,
        )
        if kind not in self._terms:
            other = None if other_day == facts.day else self._tariffs[other_day]
            self._terms[kind] = terms_of(facts, self._tariffs[facts.day], other)
        return self._terms[kind]

    def _caps_of(self, medium: str, category: int) -> int:
        kind = (medium, category)
        if kind not in self._caps:
            self._caps[kind] = self._table.cap_bits(medium, category)
        return self._caps[kind]

    def _numbers(self, day: str) -> tuple[int, int]:
        if day not in self._days:
            self._days[day] = day_number(day), month_number(day)
        return self._days[day]


class _Names(dict[object, int]):
    """Texts as numbers: equal ones have one."""

    def __missing__(self, name: object) -> int:
        self[name] = len(self)
        return self[name]


def _columns(media: Sequence[Sequence[Item]]) -> Rides:
    names = _Names()
    rows = [
        _row(number if _is_known_again(items[0]) else -1, item, names)
        for number, items in enumerate(media)
        for item in items
    ]
    return Rides(*map(list, zip(*rows, strict=True))) if rows else Rides(*([] for _ in Rides._fields))


def _is_known_again(item: Item) -> bool:
    return item.before is not None or (item.facts is not None and item.facts.token is not None)


def _row(medium: int, item: Item, names: _Names) -> tuple[int, ...]:
    terms, place = item.terms, item.facts or item.before
    assert place is not None
    return (
        medium,
        item.from_s,
        item.to_s,
        item.day,
        item.month,
        item.rules,
        terms.flags,
        terms.base_minor,
        terms.scheduled_minor,
        terms.others,
        terms.others_minor,
        terms.taken_minor,
        terms.less,
        terms.quota,
        names["carrier", place.carrier],
        -1 if place.line is None else place.line,
        names["vehicle", place.vehicle],
        item.caps,
        0 if item.before is None else item.before.charged_minor,
        0 if item.before is None else CODES[item.before.rule],
    )


def _told(items: Sequence[Item], fares: Fares) -> Iterator[Priced]:
    journeys: list[str] = []
    for index, item in enumerate(items):
        if item.before is not None:
            journeys.append(item.before.journey_key or item.key)
            continue
        rule, earlier = int(fares.rule[index]), int(fares.earlier[index])
        journeys.append(journeys[earlier] if earlier >= 0 and rule in _GOES_ON else item.key)
        assert item.facts is not None
        yield Priced(
            item.facts,
            item.terms,
            int(fares.charged_minor[index]),
            int(fares.due_minor[index]),
            RULES[rule],
            int(fares.number[index]),
            items[earlier].key if earlier >= 0 else None,
            max(0, item.from_s - items[earlier].to_s) if earlier >= 0 else 0,
            journeys[index],
        )
