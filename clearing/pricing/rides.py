"""Which taps are rides. Pure, and independent of the order in which taps arrived.

A single tap that was accepted is a ride. A debit is two records, intent and outcome: it is a ride when its outcome says so, or,
when nobody saw the outcome, when a later record of the same card proves by the card's own counter that it was committed. What
cannot be proved either way stays unknown and is shown, not booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_COMMITTED,
    DECISION_FREE_RIDE_JOURNAL_FULL,
    DECISION_NOT_COMMITTED,
)
from protocol.tap import KIND_INTENT, KIND_OUTCOME, KIND_SINGLE

Key = tuple[bytes, int, int]
_RIDE_DECISIONS = frozenset({DECISION_ACCEPTED, DECISION_FREE_RIDE_JOURNAL_FULL})


@dataclass(frozen=True)
class Record:
    """A journal record, as far as pricing looks at it.

    Attributes:
        key: (device, epoch, sequence).
        counter: of an intent: the card's counter before the debit; of an outcome: after it.
        reference: of an outcome: the intent's sequence.
        tapped_at_s: device clock, unix seconds; only tells apart two debits that saw the same counter.
    """

    key: Key
    kind: int
    decision: int | None
    token: bytes | None
    counter: int | None
    reference: int | None
    tapped_at_s: int = 0
    test: bool = False


@dataclass(frozen=True)
class Sorted:
    """What became of a day's taps: keys of rides and of debits whose end is not known."""

    rides: frozenset[Key]
    unknown: frozenset[Key]


def sort_out(records: Iterable[Record], witnesses: Iterable[Record] = ()) -> Sorted:
    """Tell rides from what is none.

    Args:
        records: of the day.
        witnesses: further records of the same cards (later days): they prove, and are no rides here.
    """
    day = [record for record in records if not record.test]
    everything = [*day, *witnesses]
    outcomes = _outcomes(everything)
    by_card = _intents_by_card(everything)
    rides, unknown = set(), set()
    for record in day:
        if record.kind == KIND_SINGLE and record.decision in _RIDE_DECISIONS:
            rides.add(record.key)
        elif record.kind == KIND_INTENT:
            verdict = outcomes.get(record.key)
            if verdict is None:
                verdict = _by_counter(record, by_card.get(record.token or b"", ()), outcomes)
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
        if record.decision == DECISION_COMMITTED:
            verdicts[key] = True
        elif record.decision == DECISION_NOT_COMMITTED:
            verdicts.setdefault(key, False)
    return verdicts


def _intents_by_card(records: Sequence[Record]) -> dict[bytes, list[Record]]:
    by_card: dict[bytes, list[Record]] = {}
    for record in records:
        if record.kind == KIND_INTENT and record.token is not None and record.counter is not None:
            by_card.setdefault(record.token, []).append(record)
    return by_card


def _by_counter(intent: Record, of_card: Sequence[Record], outcomes: dict[Key, bool]) -> bool | None:
    """Decide by the card's counter, which counts its commits, how an intent ended.

    A later debit that saw the same counter proves that this one was not committed; one that saw a higher counter, and no
    other candidate at the same counter, proves that it was.
    """
    if intent.counter is None:
        return None
    rivals = [other for other in of_card if other.counter == intent.counter and other.key != intent.key]
    if any(
        outcomes.get(other.key) or (other.tapped_at_s, other.key) > (intent.tapped_at_s, intent.key) for other in rivals
    ):
        return False
    return True if any((other.counter or 0) > intent.counter for other in of_card) else None
