"""What each party is due follows from the totals alone, and loses nothing to rounding."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from clearing.settlement.booking import (
    BASIS,
    commissions,
    entries_between,
    legs_by_subject,
    net_fares,
    pool_shares,
)
from clearing.settlement.totals import (
    AdjustmentLine,
    AgentLine,
    Evidence,
    Line,
    PoolLine,
    SubsidyLine,
    Totals,
    document_of,
    totals_from_json,
)
from tests.builders import CITY, DAY

_ALATAU, _MEDEU = "liability:payable:almaty:alatau", "liability:payable:almaty:medeu"
_CARRIERS = ("alatau", "medeu", "third")
_amounts = st.integers(0, 10**12)


def _totals(*lines: Line, **more: object) -> Totals:
    return Totals(lines, 0, 0, 0, 0, 0, 0, **more)  # type: ignore[arg-type]


_some_totals = st.builds(
    Totals,
    lines=st.lists(
        st.builds(
            Line,
            carrier=st.sampled_from(_CARRIERS),
            medium=st.sampled_from(["cash", "bank_card", "sms", "transport_card"]),
            trips=st.integers(1, 10**6),
            charged_minor=_amounts,
            correction_minor=_amounts,
            party=st.sampled_from(["", "a", "b"]),
            operator=st.sampled_from(["", "oper"]),
            commission_bp=st.integers(0, BASIS),
        ),
        max_size=8,
    ).map(lambda lines: tuple(sorted(lines))),
    refused=_amounts,
    unknown=_amounts,
    unknown_minor=_amounts,
    exceptions=_amounts,
    top_ups=_amounts,
    top_ups_minor=_amounts,
    agents=st.lists(st.builds(AgentLine, st.sampled_from("ab"), _amounts, _amounts, _amounts), max_size=3).map(tuple),
    applied_minor=_amounts,
    subsidies=st.lists(
        st.builds(
            SubsidyLine,
            st.sampled_from(_CARRIERS),
            st.sampled_from(["akimat", "state"]),
            st.just(2),
            _amounts,
            _amounts,
        ),
        max_size=4,
    ).map(tuple),
    pools=st.lists(st.integers(0, 9), min_size=3, max_size=3).map(
        lambda weights: (PoolLine("pool", tuple(zip(_CARRIERS, weights, strict=True))),)
    ),
    transfers=_amounts.map(lambda gain: (("alatau", gain), ("medeu", -gain))),
    adjustments=st.just((AdjustmentLine("A-1", "correction", "«why»", ((_ALATAU, -5), (_MEDEU, 5))),)),
    evidence=st.none() | st.just(Evidence("00" * 32, 3, 1, 1, 1, 0, 0)),
)


@given(_some_totals)
def test_every_subject_balances(totals: Totals) -> None:
    for subject, legs in legs_by_subject(CITY, totals).items():
        assert sum(legs.values()) == 0, subject


@given(_some_totals)
def test_what_carriers_and_operators_get_is_what_was_charged_to_the_tiyn(totals: Totals) -> None:
    shared = pool_shares(totals)
    assert sum(shared.values()) == 0
    after_pools = {carrier: amount + shared.get(carrier, 0) for carrier, amount in net_fares(totals).items()}
    kept = sum(commissions(totals).values())
    missing = {carrier: gain for carrier, gain in shared.items() if carrier not in after_pools}
    assert sum(after_pools.values()) + sum(missing.values()) + kept == totals.fares_minor
    balances: Counter[str] = Counter()
    for subject, legs in legs_by_subject(CITY, totals).items():
        if subject not in {"adjustments", "concessions"}:
            balances.update(
                {account: amount for account, amount in legs.items() if account.startswith("liability:payable")}
            )
    assert -sum(balances.values()) == totals.fares_minor - kept


@given(_some_totals)
def test_a_commission_is_its_part_of_the_fares_rounded_to_the_nearest_tiyn(totals: Totals) -> None:
    for line in totals.lines:
        alone = commissions(_totals(line)).get((line.carrier, line.operator), 0)
        assert abs(alone * BASIS - line.charged_minor * line.commission_bp) <= BASIS / 2


@given(_some_totals)
def test_totals_survive_being_written(totals: Totals) -> None:
    entries = entries_between(CITY, DAY, 3, None, totals)
    text = document_of(CITY, DAY, 3, totals, entries)
    assert totals_from_json(text) == totals
    assert document_of(CITY, DAY, 3, totals_from_json(text), reversed(entries)) == text


@given(_some_totals, _some_totals)
def test_two_versions_book_what_the_second_says(first: Totals, second: Totals) -> None:
    booked: Counter[str] = Counter()
    for version, (before, after) in enumerate([(None, first), (first, second)], 1):
        for entry in entries_between(CITY, DAY, version, before, after):
            for posting in entry.postings:
                booked[posting.account] += posting.amount_minor
    said: Counter[str] = Counter()
    for legs in legs_by_subject(CITY, second).values():
        for account, amount in legs.items():
            said[account] += amount
    assert {k: v for k, v in booked.items() if v} == {k: v for k, v in said.items() if v}


def test_a_pool_shares_what_is_left_after_commission_and_what_rounding_leaves_goes_to_the_largest_remainder() -> None:
    totals = _totals(
        Line("alatau", "cash", 3, 10_000, 0, "", "oper", 1000),
        Line("medeu", "cash", 1, 1, 0, "", "oper", 1000),
        pools=(PoolLine("centre", (("alatau", 1), ("medeu", 2))),),
    )
    assert commissions(totals) == {("alatau", "oper"): 1000}
    # 9 001 tiyn by one to two: 3 000 1/3 and 6 000 2/3.
    assert pool_shares(totals) == {"alatau": -6_000, "medeu": 6_000}
    assert legs_by_subject(CITY, totals)["pools"] == {_ALATAU: 6_000, _MEDEU: -6_000}


def test_a_pool_of_which_nobody_drove_shares_nothing() -> None:
    totals = _totals(Line("third", "cash", 1, 500, 0), pools=(PoolLine("centre", (("alatau", 0), ("medeu", 0))),))
    assert pool_shares(totals) == {}


def test_payers_owe_for_concessions_and_carriers_get_it() -> None:
    totals = _totals(
        subsidies=(SubsidyLine("alatau", "akimat", 2, 3, 15_000), SubsidyLine("medeu", "akimat", 4, 1, 5_000))
    )
    assert legs_by_subject(CITY, totals)["concessions"] == {
        "asset:concession:almaty:akimat": 20_000,
        _ALATAU: -15_000,
        _MEDEU: -5_000,
    }


def test_money_that_waits_for_its_card_is_apart_from_the_purses() -> None:
    totals = Totals((), 0, 0, 0, 0, 3, 9_000, (AgentLine("kiosk", 3, 9_000, 4_000),), applied_minor=1_500)
    assert legs_by_subject(CITY, totals)["top-ups"] == {
        "asset:receivable:almaty:agents:kiosk": 9_000,
        "liability:pending:almaty": -4_000 + 1_500,
        "liability:purses:almaty": -5_000 - 1_500,
    }


def test_a_close_of_the_first_format_is_read_and_booked_on_the_accounts_that_it_had() -> None:
    text = (
        '{"exceptions":0,"lines":[{"carrier":"alatau","charged_minor":10000,"correction_minor":0,"medium":"sms","trips":1}],'
        '"refused":1,"top_ups":1,"top_ups_minor":500,"unknown":0,"unknown_minor":0}'
    )
    totals = totals_from_json(text)
    assert totals == Totals((Line("alatau", "sms", 1, 10_000, 0),), 1, 0, 0, 0, 1, 500)
    legs = legs_by_subject(CITY, totals)
    assert legs["alatau/sms"]["asset:receivable:almaty:sms-aggregator"] == 10_000
    assert legs["top-ups"]["asset:receivable:almaty:agents"] == 500
