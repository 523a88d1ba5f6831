"""Cards that know the truth: whatever of it the records show, in whatever order, no debit is ever judged wrongly."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from clearing.pricing.rides import Key, Record, sort_out
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_COMMITTED,
    DECISION_NOT_COMMITTED,
    DECISION_OUTCOME_UNKNOWN,
)
from protocol.tap import KIND_INTENT, KIND_OUTCOME, KIND_SINGLE
from tests.builders import make_token

if TYPE_CHECKING:
    from collections.abc import Sequence

_CARDS = 2
_VALIDATORS = 3
_DAYS = 3


@dataclass(frozen=True)
class _Tap:
    """A card held before a validator: how it ended in truth, and what the validator could find out."""

    card: int
    validator: int
    gap_s: int
    committed: bool
    outcome_seen: bool
    unknown_noted: bool
    clock_known: bool


_TAPS = st.builds(
    _Tap,
    card=st.integers(1, _CARDS),
    validator=st.integers(1, _VALIDATORS),
    gap_s=st.integers(1, 9000),
    committed=st.booleans(),
    outcome_seen=st.booleans(),
    unknown_noted=st.booleans(),
    clock_known=st.booleans(),
)


@dataclass
class _City:
    """What happened, and the records of it."""

    records: list[Record] = field(default_factory=list)
    committed: set[Key] = field(default_factory=set)
    counters: Counter[int] = field(default_factory=Counter)
    sequences: Counter[int] = field(default_factory=Counter)
    now_s: int = 1_000_000

    def hold(self, tap: _Tap) -> None:
        """Hold a card before a validator, which records what it sees of it."""
        self.now_s += tap.gap_s
        intent = self._record(tap, KIND_INTENT, DECISION_ACCEPTED, self.counters[tap.card])
        if tap.committed:
            self.counters[tap.card] += 1
            self.committed.add(intent.key)
        if tap.unknown_noted:
            self._record(tap, KIND_OUTCOME, DECISION_OUTCOME_UNKNOWN, None, intent.key[2])
        if tap.outcome_seen:
            decision = DECISION_COMMITTED if tap.committed else DECISION_NOT_COMMITTED
            self._record(tap, KIND_OUTCOME, decision, self.counters[tap.card], intent.key[2])

    def _record(self, tap: _Tap, kind: int, decision: int, counter: int | None, reference: int | None = None) -> Record:
        self.sequences[tap.validator] += 1
        # A clock that is not known says anything.
        at_s = self.now_s if tap.clock_known else self.now_s * 7919 % 2_000_000
        key = (bytes([tap.validator]) * 16, 1, self.sequences[tap.validator])
        record = Record(key, kind, decision, make_token(tap.card), counter, reference, at_s, tap.clock_known)
        self.records.append(record)
        return record


def _live(taps: Sequence[_Tap]) -> _City:
    city = _City()
    for tap in taps:
        city.hold(tap)
    return city


_CITIES = st.lists(_TAPS, max_size=12).map(_live)


@given(_CITIES)
def test_a_verdict_is_never_wrong(city: _City) -> None:
    sorted_out = sort_out(city.records)
    assert sorted_out.rides <= city.committed <= sorted_out.rides | sorted_out.unknown


@given(st.lists(_TAPS.map(lambda tap: _Tap(**(vars(tap) | {"clock_known": True}))), max_size=12).map(_live))
def test_with_clocks_only_the_last_of_a_card_can_stay_unknown(city: _City) -> None:
    highest = {record.token: record.counter for record in city.records if record.kind == KIND_INTENT}
    unknown = sort_out(city.records).unknown
    for intent in city.records:
        assert intent.key not in unknown or intent.counter == highest[intent.token]


@given(_CITIES, st.data())
def test_the_order_of_the_records_means_nothing(city: _City, data: st.DataObject) -> None:
    assert sort_out(data.draw(st.permutations(city.records))) == sort_out(city.records)


@given(_CITIES, st.data())
def test_cutting_records_into_days_changes_no_verdict(city: _City, data: st.DataObject) -> None:
    days = [data.draw(st.integers(1, _DAYS)) for _ in city.records]
    rides: set[Key] = set()
    unknown: set[Key] = set()
    for day in range(1, _DAYS + 1):
        of_day = [record for record, its_day in zip(city.records, days, strict=True) if its_day == day]
        others = [record for record, its_day in zip(city.records, days, strict=True) if its_day != day]
        sorted_out = sort_out(of_day, others)
        assert not rides & sorted_out.rides
        rides |= sorted_out.rides
        unknown |= sorted_out.unknown
    whole = sort_out(city.records)
    assert rides == whole.rides
    assert unknown == whole.unknown


@given(_CITIES, st.data())
def test_outcomes_that_are_still_on_their_way_leave_no_wrong_verdict(city: _City, data: st.DataObject) -> None:
    arrived = [record for record in city.records if record.kind == KIND_INTENT or data.draw(st.booleans())]
    early, complete = sort_out(arrived), sort_out(city.records)
    assert early.rides <= city.committed <= early.rides | early.unknown
    assert early.rides <= complete.rides
    assert complete.unknown <= early.unknown


@given(_CITIES, st.integers(1, 20))
def test_single_taps_are_rides_beside_all_debits(city: _City, singles: int) -> None:
    taps = [Record((b"s" * 16, 1, n), KIND_SINGLE, DECISION_ACCEPTED, None, None, None) for n in range(singles)]
    assert sort_out([*taps, *city.records]).rides == sort_out(city.records).rides | {tap.key for tap in taps}
