"""The state table: every status has its row, no state is a trap or out of reach, and SPEC.md shows the table as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import ack, sync
from protocol.sync_drawing import EVENTS, STATES, draw

if TYPE_CHECKING:
    from protocol.sync import Table

IN_FLIGHT = (sync.WAITING, sync.ASKING, sync.ROTATING, sync.RETIRING)
AT_REST = (sync.IDLE, sync.BACKING_OFF, sync.MUST_ENROL)


def statuses() -> list[int]:
    return [getattr(ack, name) for name in dir(ack) if name.startswith("STATUS_")]


def reached(table: Table, first: int) -> set[int]:
    """Return the states that can follow, sooner or later."""
    found = {first}
    while True:
        more = {following for state in found for following, _ in table[state].values()} - found
        if not more:
            return found
        found |= more


def test_every_status_of_the_wire_has_a_row() -> None:
    assert sorted(statuses()) == list(range(19)) == sorted(sync.STATUS_EVENTS)


def test_every_answer_has_a_row_where_it_can_come() -> None:
    for status in sorted(statuses() + list(range(19, 25))):
        for is_signed in (True, False):
            event = sync.event_of(status, is_signed)
            for state in (sync.WAITING, sync.ASKING, sync.RETIRING):
                assert event in sync.DEVICE[state], (state, event)
            if not is_signed:
                assert event in sync.DEVICE[sync.ROTATING]


def test_what_is_not_signed_only_changes_when_to_try_again() -> None:
    for status in statuses():
        for state in IN_FLIGHT:
            following, action = sync.next_state(sync.DEVICE, state, sync.event_of(status, is_signed=False))
            assert following in {sync.BACKING_OFF, sync.MUST_ENROL}
            assert action in {sync.BACK_OFF, sync.SHRINK, sync.CALL_FOR_HELP, sync.WAIT}


def test_only_a_taken_answer_frees_erases_or_changes_a_key() -> None:
    for state in IN_FLIGHT:
        for event, (_, action) in sync.DEVICE[state].items():
            if action in {sync.GO_ON, sync.ADOPT_KEY, sync.ERASE}:
                assert event == sync.TAKEN, (state, event)


def test_whatever_comes_a_device_in_flight_comes_to_rest() -> None:
    for state in IN_FLIGHT:
        for event, (following, _) in sync.DEVICE[state].items():
            assert following in AT_REST or following in {sync.RETIRED, sync.STALE_KEYS, sync.ASKING}, (state, event)
            assert following != state
    assert {following for following, _ in sync.DEVICE[sync.STALE_KEYS].values()} == {sync.IDLE, sync.BACKING_OFF}


def test_a_device_at_rest_can_do_everything_that_may_be_due() -> None:
    for state in AT_REST:
        for event, following in (
            (sync.DUE, sync.WAITING),
            (sync.DOUBT, sync.ASKING),
            (sync.EXPIRED, sync.STALE_KEYS),
            (sync.NEW_KEY, sync.ROTATING),
            (sync.LAST_WORD, sync.RETIRING),
        ):
            assert sync.next_state(sync.DEVICE, state, event)[0] == following


def test_every_state_can_be_reached_and_left() -> None:
    for table in (sync.DEVICE, sync.SERVICE):
        for state, rows in table.items():
            assert reached(table, state) == set(table), STATES[state] + " is a trap, or leads not everywhere"
            assert {following for following, _ in rows.values()} <= set(table)
    assert set(sync.DEVICE) | set(sync.SERVICE) == set(STATES)


def test_every_event_happens_somewhere() -> None:
    happening = {event for table in (sync.DEVICE, sync.SERVICE) for rows in table.values() for event in rows}
    assert happening == set(EVENTS)
    assert len(set(EVENTS.values())) == len(EVENTS)


def test_a_retired_device_says_nothing_more() -> None:
    assert set(sync.DEVICE[sync.RETIRED]) == {sync.ENROLLED}


def test_the_service_stores_what_fits_until_a_device_has_gone() -> None:
    for state in (sync.ACTIVE, sync.BEHIND, sync.QUARANTINED):
        assert sync.next_state(sync.SERVICE, state, sync.FITS)[1] == sync.STORE
        assert sync.next_state(sync.SERVICE, state, sync.DIFFERS) == (sync.QUARANTINED, sync.KEEP_EVIDENCE)
    for state in (sync.RETIRED, sync.REVOKED):
        assert sync.next_state(sync.SERVICE, state, sync.FITS) == (state, sync.REFUSE)
    assert sync.next_state(sync.SERVICE, sync.RETIRED, sync.SAYS_LAST_WORD) == (sync.RETIRED, sync.LET_GO)


def test_every_answer_of_the_service_is_one_that_a_device_knows() -> None:
    names = {name[7:] for name in dir(ack) if name.startswith("STATUS_")}
    for rows in sync.SERVICE.values():
        for _, answer in rows.values():
            if answer != sync.NOTE:
                assert answer.split(" ")[-1] in names, answer


def test_the_specification_shows_the_table_as_it_is() -> None:
    path = __file__.rsplit("tests/", 1)[0] + "protocol/SPEC.md"
    lines = []
    is_drawing = False
    with open(path) as file:  # noqa: PTH123 - MicroPython has no pathlib
        for line in file:
            if line.startswith("<!-- end -->"):
                is_drawing = False
            if is_drawing and not line.startswith("```"):
                lines.append(line.rstrip("\n"))
            if line.startswith("<!-- drawn by `python -m protocol.sync_drawing`; begin"):
                is_drawing = True
    assert "\n".join(lines) == draw(), "draw it again: python -m protocol.sync_drawing"
