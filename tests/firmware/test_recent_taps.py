"""The memory of the last taps, as taps come and as a start rebuilds it from the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import lost_range
from firmware.recent_taps import RecentTaps
from protocol.decisions import DECISION_COMMITTED, DECISION_NOT_COMMITTED, DECISION_OUTCOME_UNKNOWN, DECISION_TOPPED_UP
from protocol.tap import (
    KIND_BOOT,
    KIND_INTENT,
    KIND_OUTCOME,
    KIND_REFUSED,
    KIND_SINGLE,
    KIND_TOP_UP,
    MEDIUM_QR_TICKET,
    Tap,
    encode_tap,
)

if TYPE_CHECKING:
    from typing import Any

NOW_S = 1_715_742_000
TOKEN, OTHER = b"t" * 16, b"u" * 16


def tap(sequence: int, kind: int = KIND_SINGLE, token: bytes | None = TOKEN, **fields: Any) -> Tap:  # noqa: ANN401
    return Tap(
        sequence=sequence,
        tapped_at_s=NOW_S,
        clock_quality=3,
        uptime_ms=0,
        boot=1,
        kind=kind,
        token=token,
        token_key_version=None if token is None else 1,
        **fields,
    )


def recalled(*taps: Tap) -> RecentTaps:
    recent = RecentTaps()
    for each in taps:
        recent.recall(each.sequence, encode_tap(each))
    return recent


def intent(sequence: int, token: bytes = TOKEN) -> Tap:
    return tap(sequence, KIND_INTENT, token, counter=5, fare_minor=12_000)


def outcome(sequence: int, of: int, decision: int, balance_minor: int | None = None) -> Tap:
    return tap(sequence, KIND_OUTCOME, reference=of, decision=decision, balance_minor=balance_minor)


def test_a_medium_that_paid_is_remembered_with_what_was_shown() -> None:
    recent = RecentTaps()
    recent.remember(tap(4, trip=2, fare_minor=12_000), 88_000)
    paid = recent.paid.newest(TOKEN)
    assert paid is not None
    assert (paid.sequence, paid.fare_minor, paid.balance_minor, paid.seen, paid.trip) == (4, 12_000, 88_000, True, 2)
    assert recent.paid.newest(OTHER) is None


def test_the_run_of_the_vehicle_and_the_one_before_are_known_after_a_start() -> None:
    recent = recalled(tap(1, trip=5), tap(2, KIND_REFUSED, decision=2, trip=6), tap(3, KIND_BOOT, None))
    assert (recent.trip_before, recent.trip) == (5, 6)
    for trip in (6, 6, 7):
        recent.ride_on(trip)
    assert (recent.trip_before, recent.trip) == (6, 7)


def test_a_code_passes_once_as_long_as_it_is_valid_whatever_the_trip() -> None:
    recent = RecentTaps()
    code: dict[str, Any] = {"medium": MEDIUM_QR_TICKET, "counter": 100}
    recent.remember(tap(1, trip=2, **code))
    assert recent.has_passed(TOKEN, 100)
    assert not recent.has_passed(TOKEN, 101)
    assert not recent.has_passed(OTHER, 100)
    assert recalled(tap(1, **code)).has_passed(TOKEN, 100)
    for step in (101, 102, 103):
        recent.remember(tap(2, token=OTHER, medium=MEDIUM_QR_TICKET, counter=step))
        assert recent.has_passed(TOKEN, 100)
    recent.remember(tap(3, token=OTHER, medium=MEDIUM_QR_TICKET, counter=104))
    assert not recent.has_passed(TOKEN, 100), "no validator takes it any more"


def test_the_memory_of_codes_is_bounded() -> None:
    recent = RecentTaps()
    for number in range(300):
        recent.remember(tap(1, token=number.to_bytes(16, "little"), medium=MEDIUM_QR_TICKET, counter=7))
    assert len(recent._codes) == 128
    assert recent.has_passed((299).to_bytes(16, "little"), 7)


def test_cash_is_not_remembered_and_memory_is_bounded() -> None:
    recent = RecentTaps()
    recent.remember(tap(1, token=None))
    for number in range(200):
        recent.remember(tap(number + 2, token=number.to_bytes(16, "little")))
        recent.note_unknown(intent(number + 2, number.to_bytes(16, "little")))
    assert len(recent.unknown) <= 48
    assert recent.paid.newest((199).to_bytes(16, "little")) is not None
    assert recent.paid.newest((8).to_bytes(16, "little")) is not None
    assert recent.paid.newest((7).to_bytes(16, "little")) is None


def test_a_start_remembers_who_paid_but_not_that_they_saw_it() -> None:
    recent = recalled(
        tap(3, balance_minor=5, fare_minor=7), intent(4, OTHER), outcome(5, 4, DECISION_COMMITTED, 88_000)
    )
    single, debit = recent.paid.newest(TOKEN), recent.paid.newest(OTHER)
    assert single is not None
    assert (single.sequence, single.balance_minor, single.seen) == (3, 5, False)
    assert debit is not None
    assert (debit.sequence, debit.fare_minor, debit.balance_minor, debit.seen) == (4, 12_000, 88_000, False)
    assert recent.take_dangling() == []


def test_an_intent_without_an_outcome_dangles_once() -> None:
    recent = recalled(intent(4), intent(6, OTHER), outcome(7, 6, DECISION_COMMITTED, 1))
    assert [each.sequence for each in recent.take_dangling()] == [4]
    assert recent.take_dangling() == []
    assert list(recent.unknown) == [TOKEN]
    assert recent.paid.newest(TOKEN) is None


def test_an_unknown_outcome_stays_unknown_until_it_is_resolved() -> None:
    unknown = [intent(4), outcome(5, 4, DECISION_OUTCOME_UNKNOWN)]
    recent = recalled(*unknown)
    assert recent.take_dangling() == []
    assert recent.unknown[TOKEN].sequence == 4
    committed = recalled(*unknown, outcome(9, 4, DECISION_COMMITTED, 88_000))
    assert committed.unknown == {}
    paid = committed.paid.newest(TOKEN)
    assert paid is not None
    assert paid.sequence == 4
    refused = recalled(*unknown, outcome(9, 4, DECISION_NOT_COMMITTED))
    assert refused.unknown == {}
    assert refused.paid.newest(TOKEN) is None


def test_an_outcome_resolves_its_own_intent_alone() -> None:
    recent = recalled(
        intent(4),
        outcome(5, 4, DECISION_OUTCOME_UNKNOWN),
        intent(6, OTHER),
        outcome(7, 6, DECISION_OUTCOME_UNKNOWN),
        outcome(8, 6, DECISION_NOT_COMMITTED),
    )
    assert list(recent.unknown) == [TOKEN]


def test_other_records_and_unreadable_ones_leave_no_trace() -> None:
    recent = recalled(tap(1, KIND_BOOT, None), tap(2, KIND_REFUSED, decision=2), outcome(3, 1, DECISION_COMMITTED, 1))
    recent.recall(4, b"\xff")
    recent.recall(5, lost_range(5, 9))
    assert recent.unknown == {}
    assert recent.take_dangling() == []
    assert recent.paid.newest(TOKEN) is None


def top_up(sequence: int) -> Tap:
    return tap(sequence, KIND_TOP_UP, counter=5, fare_minor=500_000)


def test_a_top_up_that_was_cut_off_is_unknown_until_its_outcome_is() -> None:
    recent = recalled(top_up(1))
    assert [each.sequence for each in recent.take_dangling()] == [1]
    assert recent.unknown[TOKEN].kind == KIND_TOP_UP
    recent = recalled(top_up(1), outcome(2, 1, DECISION_OUTCOME_UNKNOWN), outcome(3, 1, DECISION_NOT_COMMITTED))
    assert (recent.take_dangling(), recent.unknown) == ([], {})


def test_a_top_up_pays_for_no_ride() -> None:
    recent = recalled(top_up(1), outcome(2, 1, DECISION_TOPPED_UP, 588_000))
    assert recent.paid.newest(TOKEN) is None
    assert (recent.take_dangling(), recent.unknown) == ([], {})
