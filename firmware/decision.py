"""The decision on a tap: pure. What is known of the medium, the fare table with its rules, the lists and the moment go in.

Without a deny list yet it sells: a bus that has just been enrolled must not stand still for it, and its taps say that no list
decided. With an unknown clock nothing is held to be expired, and nothing to be free by the day or the hour: a dead clock must not
stop a bus, and the tap says that it was unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_DENIED,
    DECISION_EXPIRED,
    DECISION_FARE_TABLE_TOO_OLD,
    DECISION_INSUFFICIENT_FUNDS,
    DECISION_NOT_ALLOWED,
    DECISION_NOT_IN_FARE_TABLE,
)
from protocol.fare_rules import FREE_WHEN_TABLE_EXPIRED, USE_ACCOUNT_ONLY, USE_PASS_FIRST
from protocol.tap import (
    CLOCK_UNKNOWN,
    PRODUCT_FAULT,
    PRODUCT_FREE_DAY,
    PRODUCT_QUOTA,
    PRODUCT_SINGLE,
    PRODUCT_TRANSFER,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.cards.card_layout import Pass
    from protocol.fare_rules import FareRules
    from protocol.fare_table import FareTable
    from protocol.medium_list import MediumList

ADULT = const(1)


class Ride:
    """One of a card's last rides, as it tells them.

    Attributes:
        at_s: unix seconds.
        fare_minor: what it cost, tiyn.
        product: `protocol.tap.PRODUCT_…`, or that of a pass.
    """

    __slots__ = ("at_s", "fare_minor", "product")

    def __init__(self, at_s: int, fare_minor: int, product: int) -> None:
        self.at_s = at_s
        self.fare_minor = fare_minor
        self.product = product


class MediumFacts:
    """What the validator knows of a medium.

    Attributes:
        medium: one of `protocol.tap.MEDIUM_…`.
        category: rider category.
        token: 16 bytes; None for cash.
        balance_minor: purse, tiyn; None when the medium has none.
        expires_s: unix seconds; None when unknown.
        concession_until_s: from then on its category is that of an adult; None for never.
        passes: those that it carries.
        rides: its last ones, newest first; those that it does not tell are clearing's to count.
    """

    __slots__ = (
        "balance_minor",
        "category",
        "concession_until_s",
        "expires_s",
        "medium",
        "passes",
        "rides",
        "token",
    )

    def __init__(
        self,
        medium: int,
        category: int,
        token: bytes | None = None,
        balance_minor: int | None = None,
        expires_s: int | None = None,
    ) -> None:
        self.medium = medium
        self.category = category
        self.token = token
        self.balance_minor = balance_minor
        self.expires_s = expires_s
        self.concession_until_s: int | None = None
        self.passes: Sequence[Pass] = ()
        self.rides: Sequence[Ride] = ()


class Decision:
    """What was decided.

    Attributes:
        code: one of `protocol.decisions.DECISION_…`.
        fare_minor: tiyn to charge; 0 when nothing is.
        product: what the rider rides on.
        category: by which the fare was found.
        pass_index: which of the medium's passes pays; None for none.
        takes_purse: the fare is taken from the medium's purse.
    """

    __slots__ = ("category", "code", "fare_minor", "pass_index", "product", "takes_purse")

    def __init__(self, code: int, fare_minor: int = 0, product: int = PRODUCT_SINGLE, category: int = ADULT) -> None:
        self.code = code
        self.fare_minor = fare_minor
        self.product = product
        self.category = category
        self.pass_index: int | None = None
        self.takes_purse = False


def decide(
    facts: MediumFacts,
    fare_table: FareTable | None,
    deny_list: MediumList | None,
    now_s: int,
    clock_quality: int,
    line: int | None = None,
    allow_list: MediumList | None = None,
    stop: int | None = None,
) -> Decision:
    """Return the decision on a medium at a moment, on a line, at a stop."""
    known_s = None if clock_quality == CLOCK_UNKNOWN else now_s
    if deny_list is not None and facts.token is not None and deny_list.holds(facts.token):
        return Decision(DECISION_DENIED)
    if known_s is not None and facts.expires_s is not None and known_s >= facts.expires_s:
        return Decision(DECISION_EXPIRED)
    if fare_table is None:
        return Decision(DECISION_FARE_TABLE_TOO_OLD)
    rules = fare_table.rules
    if facts.medium in rules.allow_listed and not _is_on(allow_list, facts.token):
        return Decision(DECISION_NOT_ALLOWED)
    category = _category(facts, known_s)
    if known_s is not None and not fare_table.is_valid_at(known_s):
        if known_s >= fare_table.expires_s and rules.free_when & FREE_WHEN_TABLE_EXPIRED:
            return Decision(DECISION_ACCEPTED, 0, PRODUCT_FAULT, category)
        return Decision(DECISION_FARE_TABLE_TOO_OLD)
    fare_minor = fare_table.fare_minor(facts.medium, category)
    if fare_minor is None:
        return Decision(DECISION_NOT_IN_FARE_TABLE)
    single = Decision(DECISION_ACCEPTED, fare_minor, PRODUCT_SINGLE, category)
    return _paid_by(facts, rules, single, known_s, (line, rules.zone_of(stop)))


def _is_on(allow_list: MediumList | None, token: bytes | None) -> bool:
    return allow_list is not None and token is not None and allow_list.holds(token)


def _category(facts: MediumFacts, known_s: int | None) -> int:
    """Return the rider category; a concession that has ended is none."""
    until_s = facts.concession_until_s
    return ADULT if known_s is not None and until_s is not None and known_s >= until_s else facts.category


def _paid_by(
    facts: MediumFacts, rules: FareRules, single: Decision, known_s: int | None, place: tuple[int | None, int | None]
) -> Decision:
    """Return what the rider rides on: the least of what the rules allow, and of that what the city lets pay first.

    `place` is line and zone.
    """
    cheaper = None if known_s is None else _cheaper(facts, rules, single, known_s)
    decision = cheaper or single
    by_pass = None if known_s is None or not decision.fare_minor else _pass(facts, single.category, known_s, place)
    if by_pass is not None and rules.use == USE_PASS_FIRST:
        return by_pass
    if rules.use == USE_ACCOUNT_ONLY or facts.balance_minor is None or not decision.fare_minor:
        return decision
    if facts.balance_minor < decision.fare_minor:
        return by_pass or Decision(
            DECISION_INSUFFICIENT_FUNDS, decision.fare_minor, decision.product, decision.category
        )
    decision.takes_purse = True
    return decision


def _cheaper(facts: MediumFacts, rules: FareRules, single: Decision, now_s: int) -> Decision | None:
    """Return a ride that costs less than the single one by a rule of the day or of the hour, or None."""
    category, day = single.category, rules.day_of(now_s)
    if not single.fare_minor:
        return None
    if day in rules.free_days:
        return Decision(DECISION_ACCEPTED, 0, PRODUCT_FREE_DAY, category)
    quota = rules.quotas.get(category, 0)
    if quota > len([ride for ride in facts.rides if rules.day_of(ride.at_s) == day]):
        return Decision(DECISION_ACCEPTED, 0, PRODUCT_QUOTA, category)
    if rules.transfer_fare_minor < single.fare_minor and _may_transfer(facts, rules, now_s):
        return Decision(DECISION_ACCEPTED, rules.transfer_fare_minor, PRODUCT_TRANSFER, category)
    return None


def _may_transfer(facts: MediumFacts, rules: FareRules, now_s: int) -> bool:
    """Return whether the last *paid* ride still carries this one: transfers do not lengthen the time."""
    for transfers, ride in enumerate(facts.rides):
        if ride.product != PRODUCT_TRANSFER:
            is_paid = ride.fare_minor > 0
            return is_paid and 0 <= now_s - ride.at_s <= rules.transfer_s and transfers < rules.transfers_max
    return False


def _pass(facts: MediumFacts, category: int, now_s: int, place: tuple[int | None, int | None]) -> Decision | None:
    """Return the ride on the pass that ends first."""
    found = None
    for index, each in enumerate(facts.passes):
        if each.is_good(now_s, place[0], place[1]) and (
            found is None or each.valid_until_s < facts.passes[found].valid_until_s
        ):
            found = index
    if found is None:
        return None
    decision = Decision(DECISION_ACCEPTED, 0, facts.passes[found].product, category)
    decision.pass_index = found
    return decision
