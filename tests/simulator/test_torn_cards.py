"""A transport card is torn away at any byte of the air: it is charged once or not at all, and holding it again tells which."""

from __future__ import annotations

import pytest

from protocol.decisions import DECISION_COMMITTED, DECISION_NOT_COMMITTED, DECISION_OUTCOME_UNKNOWN
from tests.simulator.validator_bench import BALANCE_MINOR, FARE_MINOR, BusBench, make_card, outcomes_of

_BLOCK_BYTES = 3
_SHARES = 4
_OUTCOMES = {
    (),
    (DECISION_NOT_COMMITTED,),
    (DECISION_OUTCOME_UNKNOWN, DECISION_NOT_COMMITTED),
    (DECISION_OUTCOME_UNKNOWN, DECISION_COMMITTED),
    (DECISION_COMMITTED,),
}


def ride_blocks(bus: BusBench) -> list[tuple[int, int]]:
    """Return how many bytes each command of a ride and its answer have on the air."""
    card = make_card()
    blocks = []
    process = card.process

    def listen(apdu: bytes) -> bytes:
        answer = process(apdu)
        blocks.append((len(apdu) + _BLOCK_BYTES, len(answer) + _BLOCK_BYTES))
        return answer

    card.process = listen  # type: ignore[method-assign]
    bus.hold(card)
    return blocks


def moments(blocks: list[tuple[int, int]]) -> list[tuple[int, bool]]:
    """Return every byte, and after each whole command both: it was carried out, and it was not."""
    found, position = [], 0
    for command_bytes, answer_bytes in blocks:
        for byte in range(command_bytes + answer_bytes):
            found.append((position + byte, True))
            if byte == command_bytes:
                found.append((position + byte, False))
        position += command_bytes + answer_bytes
    return found


@pytest.mark.parametrize("share", range(_SHARES))
def test_a_card_that_is_torn_away_at_any_byte_is_charged_once(share: int) -> None:
    bus = BusBench()
    state = bus.state()
    blocks = ride_blocks(bus)
    assert len(blocks) == 9
    seen = set()
    for position, carried_out in moments(blocks)[share::_SHARES]:
        bus.start_in(state)
        card = make_card()
        card.tear_at_byte(position, carried_out=carried_out)
        where = (position, carried_out)
        first = bus.hold(card)
        assert "green" not in first, where
        assert first.startswith("refused "), where
        shown = bus.hold(card)
        assert shown.endswith(f" {FARE_MINOR} {BALANCE_MINOR - FARE_MINOR}, light green"), (where, shown)
        assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR], where
        ends = outcomes_of(bus.taps())
        seen |= {tuple(end) for end in ends.values()}
        assert DECISION_OUTCOME_UNKNOWN not in [end[-1] for end in ends.values()], where
    assert seen <= _OUTCOMES
    assert (DECISION_OUTCOME_UNKNOWN, DECISION_COMMITTED) in seen


def test_a_card_that_stays_away_is_known_to_have_paid_as_far_as_anybody_knows() -> None:
    bus = BusBench()
    state = bus.state()
    blocks = ride_blocks(bus)
    commit_at = sum(sum(block) for block in blocks[:-1])
    heard, ended = commit_at + blocks[-1][0], commit_at + sum(blocks[-1])
    for position, carried_out in ((commit_at + 1, False), (heard, False), (heard, True), (ended - 1, True)):
        bus.start_in(state)
        card = make_card()
        card.tear_at_byte(position, carried_out=carried_out)
        bus.hold(card)
        assert list(outcomes_of(bus.taps()).values()) == [[DECISION_OUTCOME_UNKNOWN]]
        assert card.committed_debits_minor == [FARE_MINOR] * carried_out
