"""Re-basing under any run of a bus: the true moment comes out, and the same whatever the batches were."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from clearing.ingest.rebase import Stamp, rebase, starts
from protocol.tap import (
    CLOCK_HOLDOVER,
    CLOCK_SYNCHRONISED,
    CLOCK_UNKNOWN,
    KIND_BOOT,
    KIND_CLOCK_STEP,
    KIND_SINGLE,
)

_BOOTED_S = 1_715_742_000
_RECEIVED_S = _BOOTED_S + 100_000


@dataclass(frozen=True)
class _Moment:
    """What happens next on a bus: so long after, a tap, or an ack that sets a clock which was off by so much."""

    after_ms: int
    sets_clock: bool


_MOMENTS = st.lists(st.builds(_Moment, st.integers(0, 600_000), st.booleans()), min_size=1, max_size=30)


def _drive(moments: list[_Moment], off_s: int, quality: int) -> tuple[list[Stamp], list[int]]:
    """The records of one start, and when each truly was; the clock is off until an ack sets it."""
    stamps, truth, uptime_ms = [], [], 0
    for sequence, moment in enumerate(moments, 1):
        uptime_ms += moment.after_ms
        true_s = _BOOTED_S + uptime_ms // 1000
        kind = KIND_SINGLE
        if moment.sets_clock:
            if quality != CLOCK_UNKNOWN and off_s:
                kind = KIND_CLOCK_STEP
            off_s, quality = 0, CLOCK_SYNCHRONISED
        stamps.append(Stamp(sequence, kind, true_s + off_s, quality, uptime_ms, 1, _RECEIVED_S))
        truth.append(true_s)
    return stamps, truth


@given(_MOMENTS, st.integers(-100_000, 50_000), st.sampled_from([CLOCK_UNKNOWN, CLOCK_HOLDOVER, CLOCK_SYNCHRONISED]))
def test_the_true_moment_comes_out_as_soon_as_one_record_knew(moments: list[_Moment], off_s: int, quality: int) -> None:
    stamps, truth = _drive(moments, off_s, quality)
    found = rebase(stamps)
    if not any(moment.sets_clock for moment in moments):
        return
    for stamp, true_s in zip(stamps, truth, strict=True):
        counted_s = found.moments.get(stamp.sequence, stamp.tapped_at_s)
        assert abs(counted_s - true_s) <= 1
    assert found.is_settled == (stamps[-1].clock_quality == CLOCK_SYNCHRONISED)


_STAMPS = st.lists(
    st.tuples(
        st.sampled_from([KIND_SINGLE, KIND_SINGLE, KIND_SINGLE, KIND_CLOCK_STEP, KIND_BOOT]),
        st.integers(_BOOTED_S - 1000, _BOOTED_S + 1000),
        st.integers(0, 3),
        st.integers(0, 50_000),
        st.integers(1, 2),
    ),
    min_size=1,
    max_size=25,
)


def _stamps(raw: list[tuple[int, int, int, int, int]]) -> list[Stamp]:
    return [
        Stamp(sequence, kind, at_s, quality, uptime_ms, boot, _RECEIVED_S)
        for sequence, (kind, at_s, quality, uptime_ms, boot) in enumerate(raw, 1)
    ]


@given(_STAMPS)
def test_starts_lose_no_record_and_hold_one_start_each(raw: list[tuple[int, int, int, int, int]]) -> None:
    stamps = _stamps(raw)
    parts = [list(part) for part in starts(stamps)]
    assert [stamp for part in parts for stamp in part] == stamps
    for part in parts:
        assert len({stamp.boot for stamp in part}) == 1
        assert [stamp.uptime_ms for stamp in part] == sorted(stamp.uptime_ms for stamp in part)
        assert all(stamp.kind != KIND_BOOT for stamp in part[1:])


@given(_STAMPS)
def test_what_is_settled_stays_unless_the_clock_is_set(raw: list[tuple[int, int, int, int, int]]) -> None:
    """So a service need not look at old records again: this is what makes the order of arrival not matter."""
    start = next(starts(_stamps(raw)))
    for end in range(1, len(start)):
        early = rebase(start[:end])
        if early.is_settled and all(stamp.kind != KIND_CLOCK_STEP for stamp in start[end:]):
            late = rebase(start)
            assert {sequence: late.moments.get(sequence) for sequence in early.moments} == early.moments
            known = {stamp.sequence for stamp in start[:end]}
            assert known & set(late.moments) == set(early.moments)
