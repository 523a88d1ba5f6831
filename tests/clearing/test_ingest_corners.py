"""Records that no healthy validator writes: each is stored, named, and nothing else is disturbed by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from clearing.ingest.exceptions import conflicts_of
from clearing.ingest.models import DirtyDay, TapException, TapRow
from clearing.ingest.rebase import Stamp, rebase
from clearing.ingest.receiver import Answer, Receiver
from clearing.ingest.suspicion import suspicions_about
from protocol.ack import STATUS_OK_FLAGGED, STATUS_TOO_LARGE
from protocol.limits import MESSAGE_BYTES_MAX
from protocol.tap import (
    CLOCK_HOLDOVER,
    CLOCK_SYNCHRONISED,
    CLOCK_UNKNOWN,
    KIND_BOOT,
    KIND_LOST_RANGE,
    KIND_SINGLE,
    Tap,
)
from tests.builders import NOW_MS, NOW_S, Device, Office

if TYPE_CHECKING:
    from clearing.database import Database

_DAY_S = 86_400


def _lost(sequence: int, first: int, last: int) -> Tap:
    return Tap(
        sequence=sequence,
        tapped_at_s=NOW_S,
        clock_quality=CLOCK_SYNCHRONISED,
        uptime_ms=1,
        boot=1,
        kind=KIND_LOST_RANGE,
        reference=[first, last],
    )


@pytest.mark.parametrize("tap", [_lost(5, 4, 9), _lost(5, 5, 4)])
def test_a_lost_range_that_is_not_its_own_is_named(tap: Tap) -> None:
    assert [each.reason for each in suspicions_about(tap, NOW_S)] == ["lost_range", "lost_range_odd"]


def test_a_fare_that_no_ride_has_is_named(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record(fare_minor=100_000_000)]))
    assert office.reasons() == ["fare_implausible"]


def test_no_record_is_told_a_moment_after_it_came() -> None:
    knowing = Stamp(1, KIND_SINGLE, NOW_S, CLOCK_SYNCHRONISED, 1_000, 1, NOW_S)
    waiting = Stamp(2, KIND_SINGLE, 0, CLOCK_UNKNOWN, 1_000 + 10 * _DAY_S * 1000, 1, NOW_S)
    assert rebase([knowing, waiting]).moments == {}


def test_a_start_that_is_lost_altogether_leaves_the_next_one_to_itself(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record(clock_quality=CLOCK_UNKNOWN)]))
    lost = device.record(kind=KIND_LOST_RANGE, reference=[2, 2], medium=None, fare_minor=None)
    assert office.send(device, device.message([lost])).status == STATUS_OK_FLAGGED
    assert office.validator(device).boot_unsettled
    with office.database.reading() as session:
        assert session.scalars(select(TapRow.rebased_at_s)).all() == [None, None]


def test_what_is_no_money_moves_to_its_day_without_a_case(office: Office, device: Device) -> None:
    boot = device.record(
        kind=KIND_BOOT, medium=None, fare_minor=None, decision=None, uptime_ms=0, clock_quality=CLOCK_HOLDOVER
    )
    office.send(device, device.message([boot]))
    office.clock.at_ms += 2 * _DAY_S * 1000
    knows = device.record(uptime_ms=2 * _DAY_S * 1000, tapped_at_s=NOW_S + _DAY_S)
    office.send(device, device.message([knows]))
    with office.database.reading() as session:
        assert session.scalars(select(TapRow.service_day).order_by(TapRow.sequence)).first() == "2024-05-14"
        assert "day_moved" not in session.scalars(select(TapException.reason)).all()
    assert office.count(DirtyDay) == 2


def test_a_history_that_nobody_can_read_is_shown_as_such(office: Office, device: Device) -> None:
    clone = device.copy()
    office.send(device, device.message([device.record()]))
    batch = clone.batch([b"\xff\xff"], 1, clone.head)
    office.send(clone, clone.sign(batch))
    with office.database.reading() as session:
        conflicts = conflicts_of(session, device.id, 1, 10)
    assert [(each.sequence, each.claimed) for each in conflicts] == [(1, None)]


def test_a_message_beyond_the_limit_is_not_read(database: Database, office: Office) -> None:
    receiver = Receiver(database, office.keys, office.clock)
    too_large = bytes(MESSAGE_BYTES_MAX + 1)
    assert receiver.receive(too_large) == receiver.retire(too_large) == Answer(STATUS_TOO_LARGE)
    assert receiver.rotate(too_large) == Answer(STATUS_TOO_LARGE)
    assert office.clock.now_ms() == NOW_MS
