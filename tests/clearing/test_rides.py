from __future__ import annotations

import dataclasses
import itertools

import pytest

from clearing.pricing.rides import Record, Sorted, sort_out
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_COMMITTED,
    DECISION_DENIED,
    DECISION_FREE_RIDE_JOURNAL_FULL,
    DECISION_NOT_COMMITTED,
    DECISION_NOT_PAID,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_PAID_HERE,
)
from protocol.tap import KIND_BOOT, KIND_INSPECTION, KIND_INTENT, KIND_OUTCOME, KIND_REFUSED, KIND_SINGLE
from tests.builders import make_token

_A, _B, _C = (bytes([number]) * 16 for number in (1, 2, 3))
_COUNTER = 7
_RIDE, _NONE, _UNKNOWN = "ride", "none", "unknown"


def _single(decision: int | None = DECISION_ACCEPTED, kind: int = KIND_SINGLE, sequence: int = 1) -> Record:
    return Record((_A, 1, sequence), kind, decision, None, None, None)


def _intent(device: bytes = _A, sequence: int = 10, counter: int | None = _COUNTER, at_s: int = 1000) -> Record:
    return Record((device, 1, sequence), KIND_INTENT, DECISION_ACCEPTED, make_token(1), counter, None, at_s)


def _outcome(intent: Record, decision: int, sequence: int = 11) -> Record:
    device, epoch, reference = intent.key
    counter = None if decision == DECISION_OUTCOME_UNKNOWN else _COUNTER + (decision == DECISION_COMMITTED)
    return Record((device, epoch, sequence), KIND_OUTCOME, decision, intent.token, counter, reference, 1001)


def _verdict(sorted_out: Sorted, record: Record) -> str:
    assert not sorted_out.rides & sorted_out.unknown
    if record.key in sorted_out.rides:
        return _RIDE
    return _UNKNOWN if record.key in sorted_out.unknown else _NONE


@pytest.mark.parametrize("decision", [DECISION_ACCEPTED, DECISION_FREE_RIDE_JOURNAL_FULL])
def test_an_accepted_single_tap_is_a_ride(decision: int) -> None:
    assert sort_out([_single(decision)]) == Sorted(frozenset({(_A, 1, 1)}), frozenset())


@pytest.mark.parametrize(
    "record",
    [
        _single(DECISION_DENIED),
        _single(None),
        _single(DECISION_ACCEPTED, KIND_REFUSED),
        _single(DECISION_ACCEPTED, KIND_BOOT),
        *(
            _single(decision, KIND_INSPECTION)
            for decision in (DECISION_ACCEPTED, DECISION_PAID_HERE, DECISION_NOT_PAID)
        ),
        dataclasses.replace(_single(), test=True),
    ],
)
def test_anything_else_is_none(record: Record) -> None:
    assert sort_out([record]) == Sorted(frozenset(), frozenset())


_SAW_THE_SAME = _intent(_B, 20, _COUNTER, at_s=2000)
_SAW_THE_SAME_BEFORE = _intent(_B, 20, _COUNTER, at_s=500)
_SAW_MORE = _intent(_C, 30, _COUNTER + 1, at_s=3000)
_SAW_LESS = _intent(_C, 30, _COUNTER - 1, at_s=100)
_EVIDENCE: dict[str, tuple[list[Record], str]] = {
    "nobody saw the card again": ([], _UNKNOWN),
    "the card had been seen with less": ([_SAW_LESS], _UNKNOWN),
    "the next debit saw the same counter": ([_SAW_THE_SAME], _NONE),
    "the next debit saw more": ([_SAW_MORE], _RIDE),
    "the next saw the same, the one after it more": ([_SAW_THE_SAME, _SAW_MORE], _NONE),
    "the one before saw the same": ([_SAW_THE_SAME_BEFORE], _UNKNOWN),
    "the one before saw the same, the next more": ([_SAW_THE_SAME_BEFORE, _SAW_MORE], _RIDE),
    "the one before saw the same and was committed": (
        [_SAW_THE_SAME_BEFORE, _outcome(_SAW_THE_SAME_BEFORE, DECISION_COMMITTED, 21), _SAW_MORE],
        _NONE,
    ),
    "the next saw the same and was not committed": (
        [_SAW_THE_SAME, _outcome(_SAW_THE_SAME, DECISION_NOT_COMMITTED, 21)],
        _NONE,
    ),
}
_OWN: dict[str, tuple[list[int], str | None]] = {
    "no outcome": ([], None),
    "outcome unknown": ([DECISION_OUTCOME_UNKNOWN], None),
    "committed": ([DECISION_COMMITTED], _RIDE),
    "not committed": ([DECISION_NOT_COMMITTED], _NONE),
    "unknown, later committed": ([DECISION_OUTCOME_UNKNOWN, DECISION_COMMITTED], _RIDE),
    "unknown, later not committed": ([DECISION_OUTCOME_UNKNOWN, DECISION_NOT_COMMITTED], _NONE),
    "it says both": ([DECISION_NOT_COMMITTED, DECISION_COMMITTED], _RIDE),
}


@pytest.mark.parametrize("own", _OWN)
@pytest.mark.parametrize("evidence", _EVIDENCE)
def test_a_debit_ends_as_its_outcome_says_or_else_as_the_counter_proves(own: str, evidence: str) -> None:
    intent = _intent()
    decisions, said = _OWN[own]
    others, proved = _EVIDENCE[evidence]
    outcomes = [_outcome(intent, decision, 11 + number) for number, decision in enumerate(decisions)]
    for order in itertools.permutations([intent, *outcomes, *others]):
        assert _verdict(sort_out(order), intent) == (said or proved)
    assert _verdict(sort_out([intent, *outcomes], others), intent) == (said or proved)
    assert _verdict(sort_out([intent], [*outcomes, *others]), intent) == (said or proved)


def test_witnesses_prove_and_are_no_rides_here() -> None:
    sorted_out = sort_out([_intent()], [_SAW_MORE, _single(sequence=99)])
    assert sorted_out == Sorted(frozenset({_intent().key}), frozenset())


@pytest.mark.parametrize(
    "intent", [dataclasses.replace(_intent(), token=None), dataclasses.replace(_intent(), counter=None)]
)
def test_without_a_card_or_its_counter_nothing_is_proved(intent: Record) -> None:
    assert _verdict(sort_out([intent, _SAW_MORE, _SAW_THE_SAME]), intent) == _UNKNOWN


def test_another_card_proves_nothing() -> None:
    other = dataclasses.replace(_SAW_MORE, token=make_token(2))
    assert _verdict(sort_out([_intent(), other]), _intent()) == _UNKNOWN


def test_on_one_validator_the_sequence_tells_what_came_first_whatever_its_clock_says() -> None:
    first, second = _intent(sequence=10, at_s=5000), _intent(sequence=12, at_s=1000)
    sorted_out = sort_out([first, second, _SAW_MORE])
    assert (_verdict(sorted_out, first), _verdict(sorted_out, second)) == (_NONE, _RIDE)


def test_two_debits_that_no_clock_orders_are_both_unknown() -> None:
    same_time = _intent(_B, 20, at_s=1000)
    no_clock = dataclasses.replace(_intent(_B, 20, at_s=99_999), clock_known=False)
    for rival in (same_time, no_clock):
        sorted_out = sort_out([_intent(), rival, _SAW_MORE])
        assert (_verdict(sorted_out, _intent()), _verdict(sorted_out, rival)) == (_UNKNOWN, _UNKNOWN)


def test_a_debit_known_not_to_be_committed_leaves_the_other_one() -> None:
    rival = _intent(_B, 20, at_s=1000)
    sorted_out = sort_out([_intent(), rival, _outcome(rival, DECISION_NOT_COMMITTED, 21), _SAW_MORE])
    assert (_verdict(sorted_out, _intent()), _verdict(sorted_out, rival)) == (_RIDE, _NONE)


def test_an_outcome_of_another_validator_or_life_means_another_debit() -> None:
    elsewhere = [_outcome(_intent(_B), DECISION_COMMITTED), Record((_A, 2, 11), KIND_OUTCOME, 15, None, None, 10)]
    assert _verdict(sort_out([_intent(), *elsewhere]), _intent()) == _UNKNOWN


def test_a_technicians_debit_is_no_ride_but_shows_the_counter() -> None:
    test_debit = dataclasses.replace(_SAW_MORE, test=True)
    for sorted_out in (sort_out([_intent(), test_debit]), sort_out([_intent()], [test_debit])):
        assert sorted_out == Sorted(frozenset({_intent().key}), frozenset())


def test_a_late_debit_overturns_what_was_proved_without_it() -> None:
    torn = _intent()
    assert _verdict(sort_out([torn, _SAW_MORE]), torn) == _RIDE
    late = [_SAW_THE_SAME, _outcome(_SAW_THE_SAME, DECISION_COMMITTED, 21)]
    assert _verdict(sort_out([torn, _SAW_MORE, *late]), torn) == _NONE


def _code(device: bytes, at_s: int = 1000, **changes: object) -> Record:
    record = Record((device, 1, 1), KIND_SINGLE, DECISION_ACCEPTED, make_token(1), _COUNTER, None, at_s, is_code=True)
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def test_of_all_taps_by_one_code_the_first_is_the_ride_in_whatever_order_they_are_seen() -> None:
    taps = [_code(_A, 1002), _code(_B, 1001), _code(_C, 900, clock_known=False)]
    for order in itertools.permutations(taps):
        assert sort_out(order).rides == {(_B, 1, 1)}
        assert sort_out([taps[0]], order).rides == frozenset(), "it passed on another day"
        assert sort_out([taps[1]], order).rides == {(_B, 1, 1)}


def test_a_code_is_the_same_only_with_ticket_and_step() -> None:
    for other in (
        _code(_B, token=make_token(2)),
        _code(_B, counter=_COUNTER + 1),
        _code(_B, is_code=False),
        _code(_B, counter=None),
    ):
        assert len(sort_out([_code(_A), other]).rides) == 2
    for no_ride in (_code(_B, 1, test=True), _code(_B, 1, kind=KIND_REFUSED)):
        assert sort_out([_code(_A), no_ride]).rides == {(_A, 1, 1)}
