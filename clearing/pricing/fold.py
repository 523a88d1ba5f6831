"""The fold: what each ride costs, given the rides before it. Pure; one text for one card and for a day of six million.

A chain of transfers cannot be said by looking at the ride before: whether a ride is free depends on whether that one was paid,
which depends on the one before it. So the rides of each medium are walked once, in their order, with a small state. The text
below is plain Python over sequences of whole numbers, so that a compiler for Python can take it as it is
(`clearing.pricing.compiled`); it keeps to what such a compiler understands: no objects, no exceptions, no texts.

The rules in the order in which they are asked:

1. No price for this medium and category: what the bus took counts, and no rule helps.
2. A free day: nothing.
3. The same vehicle again within `same_vehicle_s`: it is the ride before.
4. The quota of the day is not used up: nothing. Every ride of the medium on that service day counts; where a medium is not
   known again (cash), there is neither quota nor transfer nor cap.
5. A transfer: within `transfer_s` of the last *paid* ride, and not more than so many since then. A ride is paid when its rider
   was charged and it was no transfer itself; free rides in between neither end the time nor use it up. Where clocks leave a
   doubt, the time is measured so that the rider has the benefit.
6. A pass: nothing.
7. Caps: no more than what is left of each in its day, week or month.

What a purse paid on the bus is never raised: there the rider bears the lesser of that and what came out above. Of other media the
account is charged what came out. A further rider of a group pays a fare each, goes along with a transfer where as many had paid,
and has no part in caps, which belong to one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# Flags of a ride.
ON_SPOT = 1  # the money was taken on the bus, or by a channel
PRICED = 2  # the tariff has a price
FREE_DAY = 4
MAY_TRANSFER = 8  # the transfer of its tariff holds for its medium and category
HAS_PASS = 16
KNOWN = 32  # priced before: it only tells the state
SUM = 64  # of several rides priced before: it only counts towards caps
IMPLAUSIBLE = 128

# Why a ride costs what it costs; `clearing.pricing.reasons` has their names.
TARIFF, CHARGED_LESS, CHARGED_MORE, NOT_IN_TARIFF, DAMAGED, OUR_FAULT = 0, 1, 2, 3, 4, 5
IS_FREE_DAY, SAME_VEHICLE, QUOTA, TRANSFER, PASS, CAP = 6, 7, 8, 9, 10, 11

_SAME_CARRIER = 1
_OTHER_LINE = 2
_DAY, _WEEK, _MONTH = 0, 1, 2

Numbers = Sequence[int]


class Rides(NamedTuple):
    """Rides in columns, those of one medium together and in their order.

    Attributes:
        medium: which; below 0 for one that nobody knows again (cash).
        from_s, to_s: between these moments it was; equal where the clock was sure.
        day, month: of the service: its number in the calendar, and year * 12 + month.
        rules: which row of the rules.
        flags: sum of `ON_SPOT` …
        base_minor: what its holder is to pay before any rule.
        scheduled_minor: by the tariff, for all its riders.
        others, others_minor: further riders, and what each is to pay.
        taken_minor: on the bus.
        less: the rule by which the bus says it took less, as a code above.
        quota: free rides of a day for its category; 0 for none.
        caps: bit n is set where it counts towards the cap of place n.
        charged_minor, rule: of a ride that is `KNOWN`.
    """

    medium: Numbers
    from_s: Numbers
    to_s: Numbers
    day: Numbers
    month: Numbers
    rules: Numbers
    flags: Numbers
    base_minor: Numbers
    scheduled_minor: Numbers
    others: Numbers
    others_minor: Numbers
    taken_minor: Numbers
    less: Numbers
    quota: Numbers
    carrier: Numbers
    line: Numbers
    vehicle: Numbers
    caps: Numbers
    charged_minor: Numbers
    rule: Numbers


class Rules(NamedTuple):
    """Rules in columns, a row for each dated tariff that is met.

    Attributes:
        transfer_bounds: 1 same carrier, 2 other line, or their sum.
        cap_period: by place: 0 day, 1 week, 2 month.
        cap_minor: by row and place, row after row; below 0 where the tariff has no such cap.
    """

    same_vehicle_s: Numbers
    transfer_s: Numbers
    transfer_rides: Numbers
    transfer_minor: Numbers
    transfer_bounds: Numbers
    cap_period: Numbers
    cap_minor: Numbers


class Fares(NamedTuple):
    """What came out, to be filled: as many numbers as there are rides.

    Attributes:
        charged_minor: what the rider bears.
        rule: why.
        earlier: the ride by which it was cheaper, or below 0.
        number: of a transfer or a free ride of the quota: which one it is; of a cap: its place.
        due_minor: what came out of the rules before it was held against what the bus took.
    """

    charged_minor: list[int]
    rule: list[int]
    earlier: list[int]
    number: list[int]
    due_minor: list[int]


def fold(rides: Rides, rules: Rules, fares: Fares, spent: list[int], spent_in: list[int]) -> None:  # noqa: PLR0915 - one walk
    """Fill in the fares; `spent` and `spent_in` are scratch, a number for each cap.

    State of a medium: the last paid ride (`paid…`), transfers since then, the last ride (`seen`), rides of the day, and what
    was spent towards each cap in which of its periods.
    """
    places = len(rules.cap_period)
    medium = day = -1
    paid = seen = -1
    transfers = rides_today = 0
    for i in range(len(rides.medium)):
        if rides.medium[i] != medium or medium < 0:
            medium, day, paid, seen, transfers, rides_today = rides.medium[i], -1, -1, -1, 0, 0
            for place in range(places):
                spent[place], spent_in[place] = 0, -1
        if rides.day[i] != day:
            day, rides_today = rides.day[i], 0
        for place in range(places):
            kind = rules.cap_period[place]
            period = day if kind == _DAY else ((day - 1) // 7 if kind == _WEEK else rides.month[i])
            if spent_in[place] != period:
                spent[place], spent_in[place] = 0, period
        flags, at = rides.flags[i], rides.rules[i]
        earlier, number = -1, 0
        own = total = rides.base_minor[i]
        if flags & KNOWN:
            own = total = charged = rides.charged_minor[i]
            rule = rides.rule[i]
        else:
            rule, others, others_minor = TARIFF, rides.others[i], rides.others_minor[i]
            if not flags & PRICED:
                rule, own, others = NOT_IN_TARIFF, rides.taken_minor[i], 0
            elif flags & FREE_DAY:
                rule, own, others = IS_FREE_DAY, 0, 0
            elif (
                seen >= 0
                and rules.same_vehicle_s[at] > 0
                and rides.vehicle[i] == rides.vehicle[seen]
                and rides.from_s[i] - rides.to_s[seen] < rules.same_vehicle_s[at]
            ):
                rule, own, others, earlier = SAME_VEHICLE, 0, 0, seen
            elif rides.quota[i] > rides_today:
                rule, own, number = QUOTA, 0, rides_today + 1
            else:
                goes_along = (
                    paid >= 0
                    and flags & MAY_TRANSFER != 0
                    and transfers < rules.transfer_rides[at]
                    and rides.from_s[i] - rides.to_s[paid] <= rules.transfer_s[at]
                    and (rules.transfer_bounds[at] & _SAME_CARRIER == 0 or rides.carrier[i] == rides.carrier[paid])
                    and (rules.transfer_bounds[at] & _OTHER_LINE == 0 or rides.line[i] != rides.line[paid])
                )
                if goes_along and rules.transfer_minor[at] < own:
                    rule, own, earlier, number = TRANSFER, rules.transfer_minor[at], paid, transfers + 1
                if flags & HAS_PASS and own > 0:
                    rule, own, earlier = PASS, 0, -1
                for place in range(places):
                    cap_minor = rules.cap_minor[at * places + place]
                    if rides.caps[i] >> place & 1 and cap_minor >= 0 and cap_minor - spent[place] < own:
                        rule, own, earlier, number = CAP, max(0, cap_minor - spent[place]), -1, place
                if goes_along and others > 0:
                    along = min(others, rides.others[paid])
                    own += along * min(others_minor, rules.transfer_minor[at])
                    others -= along
            total = own + others * others_minor
            charged = min(total, rides.taken_minor[i]) if flags & ON_SPOT else total
            if charged < total or (rule == TARIFF and charged < rides.scheduled_minor[i]):
                rule, earlier, number = rides.less[i], -1, 0
            elif rule == TARIFF and flags & IMPLAUSIBLE:
                rule = DAMAGED
            elif rule == TARIFF and rides.taken_minor[i] > charged:
                rule = CHARGED_MORE
        fares.charged_minor[i], fares.rule[i], fares.due_minor[i] = charged, rule, total
        fares.earlier[i], fares.number[i] = earlier, number
        for place in range(places):
            if rides.caps[i] >> place & 1:
                spent[place] += charged
        if flags & SUM or rule == SAME_VEHICLE:
            continue
        rides_today += 1
        seen = i
        if rule == TRANSFER:
            transfers += 1
        elif charged > 0:
            paid, transfers = i, 0
