"""The decision on a tap: each reason, and which of two reasons counts."""

from __future__ import annotations

from firmware.decision import MediumFacts, decide
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_DENIED,
    DECISION_EXPIRED,
    DECISION_FARE_TABLE_TOO_OLD,
    DECISION_INSUFFICIENT_FUNDS,
    DECISION_NOT_IN_FARE_TABLE,
)
from protocol.fare_table import FareTable
from protocol.medium_list import LIST_DENY, make_list
from protocol.tap import (
    CLOCK_HOLDOVER,
    CLOCK_SYNCHRONISED,
    CLOCK_UNKNOWN,
    MEDIUM_CASH,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
)

NOW_S = 1_715_742_000
TOKEN = b"t" * 16
TABLE = FareTable(1, NOW_S - 100, NOW_S + 100, 1, {MEDIUM_TRANSPORT_CARD: {1: 12_000, 2: 0}, MEDIUM_CASH: {1: 20_000}})
DENIED = make_list(LIST_DENY, 1, NOW_S + 100, [TOKEN])


def card(category: int = 1, balance_minor: int = 50_000, expires_s: int = NOW_S + 1) -> MediumFacts:
    return MediumFacts(MEDIUM_TRANSPORT_CARD, category, TOKEN, balance_minor, expires_s)


def code(facts: MediumFacts, now_s: int = NOW_S, quality: int = CLOCK_SYNCHRONISED) -> int:
    return decide(facts, TABLE, None, now_s, quality).code


def test_the_fare_is_what_the_table_says_for_medium_and_category() -> None:
    for facts, fare_minor in ((card(), 12_000), (card(2, 0), 0), (MediumFacts(MEDIUM_CASH, 1), 20_000)):
        decision = decide(facts, TABLE, None, NOW_S, CLOCK_SYNCHRONISED)
        assert (decision.code, decision.fare_minor) == (DECISION_ACCEPTED, fare_minor)


def test_a_purse_must_hold_the_fare_to_the_last_tiyn() -> None:
    assert code(card(balance_minor=12_000)) == DECISION_ACCEPTED
    short = decide(card(balance_minor=11_999), TABLE, None, NOW_S, CLOCK_SYNCHRONISED)
    assert (short.code, short.fare_minor) == (DECISION_INSUFFICIENT_FUNDS, 12_000)


def test_a_medium_or_category_that_is_not_sold_to() -> None:
    assert code(card(category=3)) == DECISION_NOT_IN_FARE_TABLE
    assert code(MediumFacts(MEDIUM_QR_TICKET, 1, TOKEN)) == DECISION_NOT_IN_FARE_TABLE


def test_a_medium_expires_at_its_second() -> None:
    assert code(card(expires_s=NOW_S + 1)) == DECISION_ACCEPTED
    assert code(card(expires_s=NOW_S)) == DECISION_EXPIRED


def test_the_fare_table_has_a_first_and_a_last_second() -> None:
    for now_s, expected in (
        (NOW_S - 101, DECISION_FARE_TABLE_TOO_OLD),
        (NOW_S - 100, DECISION_ACCEPTED),
        (NOW_S + 99, DECISION_ACCEPTED),
        (NOW_S + 100, DECISION_FARE_TABLE_TOO_OLD),
    ):
        assert code(card(expires_s=NOW_S + 1000), now_s) == expected, now_s


def test_without_a_fare_table_nothing_is_sold() -> None:
    for quality in (CLOCK_UNKNOWN, CLOCK_SYNCHRONISED):
        assert decide(card(), None, None, NOW_S, quality).code == DECISION_FARE_TABLE_TOO_OLD


def test_who_is_denied_is_denied_whatever_else_is_wrong() -> None:
    for facts in (card(), card(balance_minor=0), card(expires_s=0), card(category=3)):
        for table in (TABLE, None):
            assert decide(facts, table, DENIED, NOW_S, CLOCK_UNKNOWN).code == DECISION_DENIED
    other = MediumFacts(MEDIUM_TRANSPORT_CARD, 1, b"u" * 16, 50_000, NOW_S + 1)
    assert decide(other, TABLE, DENIED, NOW_S, CLOCK_SYNCHRONISED).code == DECISION_ACCEPTED
    assert decide(MediumFacts(MEDIUM_CASH, 1), TABLE, DENIED, NOW_S, CLOCK_SYNCHRONISED).code == DECISION_ACCEPTED


def test_a_dead_clock_expires_nothing() -> None:
    assert code(card(expires_s=1), 5, CLOCK_UNKNOWN) == DECISION_ACCEPTED
    assert code(card(expires_s=1), 5, CLOCK_HOLDOVER) == DECISION_EXPIRED
