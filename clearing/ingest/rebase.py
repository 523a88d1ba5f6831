"""When a tap really was, where the validator's clock could not say. Pure, and independent of the order in which records came.

Between two starts the uptime counts true milliseconds. So one record of a start that knew the time tells the time of all
others. *Poor* is a record whose clock was unknown or held over, ahead of our own when it came, or set later in the same
start: then it was wrong before, nobody knows since when. What tells it the time is the first record after it that knew, else
the last one before it. A record that says that the clock was set was written just after an ack had set it, and is always
such a one; any other that claims to know is believed only when the clock was not set after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clearing.ingest.suspicion import clock_is_usable
from protocol.fields import U32_MAX
from protocol.tap import CLOCK_HOLDOVER, CLOCK_SYNCHRONISED, KIND_BOOT, KIND_CLOCK_STEP


@dataclass(frozen=True)
class Stamp:
    """What a record says about its time.

    Attributes:
        received_s: when it came, our clock.
    """

    sequence: int
    kind: int
    tapped_at_s: int
    clock_quality: int
    uptime_ms: int
    boot: int
    received_s: int

    @property
    def is_usable(self) -> bool:
        return clock_is_usable(self.clock_quality, self.tapped_at_s, self.received_s)

    def goes_on_from(self, before: Stamp) -> bool:
        """Whether it belongs to the same start."""
        return self.kind != KIND_BOOT and self.boot == before.boot and self.uptime_ms >= before.uptime_ms


@dataclass(frozen=True)
class Rebased:
    """What came out for one start.

    Attributes:
        moments: unix seconds by sequence, of the poor records for which there is a moment.
        is_settled: no record that may still come can change it, unless the clock is set again.
    """

    moments: dict[int, int]
    is_settled: bool


def starts(stamps: Sequence[Stamp]) -> Iterator[Sequence[Stamp]]:
    """The records of one start after another; they are in the order of their sequences."""
    begin = 0
    for index in range(1, len(stamps) + 1):
        if index == len(stamps) or not stamps[index].goes_on_from(stamps[index - 1]):
            yield stamps[begin:index]
            begin = index


def is_poor(stamp: Stamp, *, is_set_later: bool) -> bool:
    """Whether a record's own clock does not count."""
    if stamp.clock_quality <= CLOCK_HOLDOVER or not stamp.is_usable:
        return True
    return is_set_later and stamp.kind != KIND_CLOCK_STEP


def rebase(start: Sequence[Stamp]) -> Rebased:
    """Tell the poor records of one start when they were."""
    steps = [index for index, stamp in enumerate(start) if stamp.kind == KIND_CLOCK_STEP]
    last_step = steps[-1] if steps else -1
    moments: dict[int, int] = {}
    following: Stamp | None = None
    waiting: list[Stamp] = []
    knowing: list[tuple[int, Stamp]] = []
    for index in range(len(start) - 1, -1, -1):
        stamp = start[index]
        is_set_later = index < last_step
        if is_poor(stamp, is_set_later=is_set_later):
            if following is None:
                waiting.append(stamp)
            else:
                _tell(stamp, following, moments)
        elif stamp.clock_quality == CLOCK_SYNCHRONISED:
            following = stamp
            knowing.append((index, stamp))
    if knowing:
        newest = knowing[0][1]
        for stamp in waiting:
            _tell(stamp, newest, moments)
    return Rebased(moments, not waiting)


def _tell(stamp: Stamp, knowing: Stamp, moments: dict[int, int]) -> None:
    moment_s = (knowing.tapped_at_s * 1000 - knowing.uptime_ms + stamp.uptime_ms) // 1000
    # Nothing happens after it was reported, and what a broken device says may lie anywhere.
    if 0 <= moment_s <= U32_MAX and clock_is_usable(CLOCK_SYNCHRONISED, moment_s, stamp.received_s):
        moments[stamp.sequence] = moment_s
