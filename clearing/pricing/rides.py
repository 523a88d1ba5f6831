"""Which taps are rides. Pure, and independent of the order in which taps arrived.

A single tap that was accepted is a ride. A debit is two records, intent and outcome: it is a ride when its outcome says so, or,
when nobody saw the outcome, when other debits of the same card prove by the card's own counter that it was committed. What
cannot be proved either way stays unknown and is shown, not booked.

The counter counts the card's commits. So of all debits that saw one value at most one was committed, and it is the last of
them; and one was, if a higher value was ever seen. Which of them is the last is told by the sequence on one validator, and
between two by their clocks, where they knew the time. A proof is as good as the records that are in: a debit that arrives
later can overturn it, and the day is then closed once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_COMMITTED,
    DECISION_FREE_RIDE_JOURNAL_FULL,
    DECISION_NOT_COMMITTED,
    DECISION_TOPPED_UP,
)
from protocol.tap import KIND_INTENT, KIND_ON, KIND_OUTCOME, KIND_SINGLE, KIND_TOP_UP

Key = tuple[bytes, int, int]
_RIDE_DECISIONS = frozenset({DECISION_ACCEPTED, DECISION_FREE_RIDE_JOURNAL_FULL})
# A ride by itself: where the fare depends on the way, the boarding.
_WHOLE = frozenset({KIND_SINGLE, KIND_ON})
# What a card may have committed; a top-up is no ride, and its counter says as much.
_BEGUN = frozenset({KIND_INTENT, KIND_TOP_UP})


@dataclass(frozen=True)
class Record:
    """A journal record, as far as pricing looks at it.

    Attributes:
        key: (device, epoch, sequence).
        counter: of an intent: the card's counter before the debit; of an outcome: after it.
        reference: of an outcome: the intent's sequence.
        tapped_at_s: device clock, unix seconds; only orders debits of two validators that saw the same counter.
        clock_known: whether the device knew the time.
        test: a technician's; it is no ride, but the card's counter is as true as ever.
        is_code: by a code that may pass once; `counter` then says which of the medium's codes.
    """

    key: Key
    kind: int
    decision: int | None
    token: bytes | None
    counter: int | None
    reference: int | None
    tapped_at_s: int = 0
    clock_known: bool = True
    test: bool = False
    is_code: bool = False


def is_ride_by_itself(kind: int, decision: int | None, *, test: bool, is_code: bool) -> bool:
    """Whether a record is a ride whatever other records say, and says nothing of theirs: most of a day need no sorting out."""
    return kind in _WHOLE and decision in _RIDE_DECISIONS and not test and not is_code


@dataclass(frozen=True)
class Sorted:
    """What became of a day's taps: keys of rides and of debits whose end is not known."""

    rides: frozenset[Key]
    unknown: frozenset[Key]


def sort_out(records: Iterable[Record], witnesses: Iterable[Record] = ()) -> Sorted:
    """Tell rides from what is none.

    Args:
        records: of the day.
        witnesses: further records of the same cards and codes (other days): they prove, and are no rides here.
    """
    day = list(records)
    everything = [*day, *witnesses]
    outcomes = _outcomes(everything)
    counters = _Counters(everything, outcomes)
    passed_before = _codes_passed_before(everything)
    rides, unknown = set(), set()
    for record in day:
        if record.test:
            continue
        if record.kind in _WHOLE and record.decision in _RIDE_DECISIONS:
            if record.key not in passed_before:
                rides.add(record.key)
        elif record.kind == KIND_INTENT:
            verdict = outcomes[record.key] if record.key in outcomes else counters.verdict(record)
            if verdict is None:
                unknown.add(record.key)
            elif verdict:
                rides.add(record.key)
    return Sorted(frozenset(rides), frozenset(unknown))


def _outcomes(records: Sequence[Record]) -> dict[Key, bool]:
    """Whether each intent with a known outcome was committed; a card's word "committed" outweighs."""
    verdicts: dict[Key, bool] = {}
    for record in records:
        if record.kind != KIND_OUTCOME or record.reference is None:
            continue
        key = (record.key[0], record.key[1], record.reference)
        if record.decision in {DECISION_COMMITTED, DECISION_TOPPED_UP}:
            verdicts[key] = True
        elif record.decision == DECISION_NOT_COMMITTED:
            verdicts.setdefault(key, False)
    return verdicts


def _codes_passed_before(records: Iterable[Record]) -> frozenset[Key]:
    """The taps by a code that had passed elsewhere: of all taps by one code the first is the ride, and nobody pays twice for it.

    Who knew the time comes before who did not; of one moment, the order of keys decides, which is the same each time.
    """
    first: dict[tuple[bytes, int], Record] = {}
    later = set()
    for record in sorted(records, key=lambda each: (not each.clock_known, each.tapped_at_s, each.key)):
        is_ride = record.kind == KIND_SINGLE and record.decision in _RIDE_DECISIONS and not record.test
        if is_ride and record.is_code and record.token is not None and record.counter is not None:
            code = (record.token, record.counter)
            if first.setdefault(code, record) is not record:
                later.add(record.key)
    return frozenset(later)


class _Counters:
    """What the counters of the cards prove about debits whose outcome nobody saw."""

    def __init__(self, records: Iterable[Record], outcomes: Mapping[Key, bool]) -> None:
        self._outcomes = outcomes
        self._same: dict[tuple[bytes, int], list[Record]] = {}
        self._highest: dict[bytes, int] = {}
        for record in records:
            if record.kind in _BEGUN and record.token is not None and record.counter is not None:
                self._same.setdefault((record.token, record.counter), []).append(record)
                self._highest[record.token] = max(self._highest.get(record.token, 0), record.counter)
        self._last = {place: _possibly_last(intents) for place, intents in self._same.items()}

    def verdict(self, intent: Record) -> bool | None:
        """Whether a debit without an outcome was committed; absent when that cannot be proved."""
        if intent.token is None or intent.counter is None:
            return None
        place = (intent.token, intent.counter)
        last = self._last[place]
        if intent.key not in last or any(self._outcomes.get(other.key) for other in self._same[place]):
            return False
        if self._highest[intent.token] == intent.counter:
            return None
        only_one = all(self._outcomes.get(key) is False for key in last if key != intent.key)
        return True if only_one else None


def _possibly_last(intents: Iterable[Record]) -> frozenset[Key]:
    """Of debits that saw one counter, those that may be the last: one, but for equal or unknown clocks."""
    by_device = {intent.key[0]: intent for intent in sorted(intents, key=lambda intent: intent.key)}
    last = by_device.values()
    newest_s = max((intent.tapped_at_s for intent in last if intent.clock_known), default=0)
    return frozenset(intent.key for intent in last if not intent.clock_known or intent.tapped_at_s == newest_s)
