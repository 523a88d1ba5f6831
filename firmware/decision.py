"""The decision on a tap: pure. What is known of the medium, the fare table, the deny list and the moment go in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_DENIED,
    DECISION_EXPIRED,
    DECISION_FARE_TABLE_TOO_OLD,
    DECISION_INSUFFICIENT_FUNDS,
    DECISION_NOT_IN_FARE_TABLE,
)
from protocol.tap import CLOCK_UNKNOWN

if TYPE_CHECKING:
    from protocol.fare_table import FareTable
    from protocol.medium_list import MediumList


class MediumFacts:
    """What the validator knows of a medium.

    Attributes:
        medium: one of `protocol.tap.MEDIUM_…`.
        category: rider category.
        token: 16 bytes; None for cash.
        balance_minor: purse, tiyn; None when the medium has none.
        expires_s: unix seconds; None when unknown.
    """

    __slots__ = ("balance_minor", "category", "expires_s", "medium", "token")

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


class Decision:
    """What was decided.

    Attributes:
        code: one of `protocol.decisions.DECISION_…`.
        fare_minor: tiyn to charge; 0 when nothing is.
    """

    __slots__ = ("code", "fare_minor")

    def __init__(self, code: int, fare_minor: int = 0) -> None:
        self.code = code
        self.fare_minor = fare_minor


def decide(
    facts: MediumFacts, fare_table: FareTable | None, deny_list: MediumList | None, now_s: int, clock_quality: int
) -> Decision:
    """Return the decision on a medium at a moment.

    Without a deny list yet it sells: a bus that has just been enrolled must not stand still for it, and its taps say that no
    list decided. With an unknown clock nothing is held to be expired: a dead clock must not stop a bus, and the tap says that
    it was unknown.
    """
    clock_is_known = clock_quality != CLOCK_UNKNOWN
    if deny_list is not None and facts.token is not None and deny_list.holds(facts.token):
        return Decision(DECISION_DENIED)
    if clock_is_known and facts.expires_s is not None and now_s >= facts.expires_s:
        return Decision(DECISION_EXPIRED)
    if fare_table is None or (clock_is_known and not fare_table.is_valid_at(now_s)):
        return Decision(DECISION_FARE_TABLE_TOO_OLD)
    fare_minor = fare_table.fare_minor(facts.medium, facts.category)
    if fare_minor is None:
        return Decision(DECISION_NOT_IN_FARE_TABLE)
    if facts.balance_minor is not None and facts.balance_minor < fare_minor:
        return Decision(DECISION_INSUFFICIENT_FUNDS, fare_minor)
    return Decision(DECISION_ACCEPTED, fare_minor)
