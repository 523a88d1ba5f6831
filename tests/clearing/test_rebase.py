"""Taps of a bus that did not know the time: each gets its moment from one that did, and its day from its moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from clearing.ingest.models import DirtyDay, TapException, TapRow
from protocol.ack import STATUS_CLOCK_SUSPECT, STATUS_OK, STATUS_OK_FLAGGED
from protocol.tap import (
    CLOCK_HOLDOVER,
    CLOCK_INFORMATIVE,
    CLOCK_SYNCHRONISED,
    CLOCK_UNKNOWN,
    KIND_BOOT,
    KIND_CLOCK_STEP,
    KIND_LOST_RANGE,
)
from tests.builders import CITY, DAY, NOW_MS, NOW_S, Device, Office

if TYPE_CHECKING:
    from tests.clearing.command import Command

_DAY_S = 86_400
_YESTERDAY = "2024-05-14"
_UNKNOWN: dict[str, Any] = {"clock_quality": CLOCK_UNKNOWN, "tapped_at_s": 946_684_800}
_NO_RIDE: dict[str, Any] = {"medium": None, "fare_minor": None, "decision": None, "category": None}


def _moments(office: Office, device: Device) -> list[int | None]:
    with office.database.reading() as session:
        query = select(TapRow.rebased_at_s).where(TapRow.device_id == device.id).order_by(TapRow.sequence)
        return list(session.scalars(query))


def _days(office: Office) -> list[str]:
    with office.database.reading() as session:
        return list(session.scalars(select(TapRow.service_day).order_by(TapRow.sequence)))


def _close(office: Office, day: str, expected: int = 201) -> dict[str, Any]:
    answer = office.client.post("/v1/closes", json={"city": CITY, "day": day})
    assert answer.status_code == expected, answer.text
    return dict(answer.json())


def test_a_later_record_that_knew_tells_the_time(office: Office, device: Device) -> None:
    records = [
        device.record(uptime_ms=10_000, **_UNKNOWN),
        device.record(uptime_ms=20_500, clock_quality=CLOCK_HOLDOVER, tapped_at_s=NOW_S - 7_000),
        device.record(uptime_ms=60_000, tapped_at_s=NOW_S - 100),
    ]
    assert office.send(device, device.message(records)).status == STATUS_OK
    assert _moments(office, device) == [NOW_S - 150, NOW_S - 140, None]
    assert office.reasons() == []
    with office.database.reading() as session:
        tap = session.get_one(TapRow, (device.id, 1, 1))
    assert (tap.tapped_at_s, tap.clock_quality) == (946_684_800, CLOCK_UNKNOWN), "what the bus said stays as it is"


def test_an_earlier_one_does_where_none_follows(office: Office, device: Device) -> None:
    records = [device.record(uptime_ms=60_000, tapped_at_s=NOW_S - 100), device.record(uptime_ms=70_000, **_UNKNOWN)]
    office.send(device, device.message(records))
    assert _moments(office, device) == [None, NOW_S - 90]


def test_a_clock_that_was_set_was_wrong_before(office: Office, device: Device) -> None:
    step = {"kind": KIND_CLOCK_STEP, "extensions": {0: 3600}, **_NO_RIDE}
    records = [
        device.record(uptime_ms=1_000, tapped_at_s=NOW_S - 3_700),
        device.record(uptime_ms=50_000, tapped_at_s=NOW_S - 51, **step),
        device.record(uptime_ms=60_000, tapped_at_s=NOW_S - 41),
    ]
    office.send(device, device.message(records))
    assert _moments(office, device) == [NOW_S - 100, None, None]


def test_an_informative_clock_is_left_alone(office: Office, device: Device) -> None:
    records = [
        device.record(uptime_ms=1_000, clock_quality=CLOCK_INFORMATIVE, tapped_at_s=NOW_S - 500),
        device.record(uptime_ms=50_000, tapped_at_s=NOW_S - 51),
    ]
    office.send(device, device.message(records))
    assert _moments(office, device) == [None, None]


@pytest.mark.parametrize(
    "other",
    [
        {"boot": 2, "uptime_ms": 90_000},
        {"boot": 1, "uptime_ms": 9_000},
        {"boot": 1, "uptime_ms": 90_000, "kind": KIND_BOOT},
        {"boot": 1, "uptime_ms": 90_000, "clock_quality": CLOCK_INFORMATIVE},
        {"boot": 1, "uptime_ms": 90_000, "tapped_at_s": NOW_S + _DAY_S},
    ],
)
def test_only_one_of_the_same_start_that_really_knew_counts(
    office: Office, device: Device, other: dict[str, Any]
) -> None:
    records = [device.record(boot=1, uptime_ms=10_000, **_UNKNOWN), device.record(**({"tapped_at_s": NOW_S} | other))]
    office.send(device, device.message(records))
    assert _moments(office, device)[0] is None
    assert "clock_unknown" in office.reasons()


def test_a_loss_between_does_not_break_a_start(office: Office, device: Device) -> None:
    head = device.head
    lost = {"boot": 0, "uptime_ms": 0, "tapped_at_s": 0, "clock_quality": CLOCK_UNKNOWN, "reference": [2, 9]}
    records = [device.record(uptime_ms=1_000, **_UNKNOWN), device.record(kind=KIND_LOST_RANGE, **lost, **_NO_RIDE)]
    device.next_sequence = 10
    records.append(device.record(uptime_ms=61_000, tapped_at_s=NOW_S))
    office.send(device, device.sign(device.batch(records, 1, head)))
    assert _moments(office, device) == [NOW_S - 60, None, None]


def test_a_later_batch_tells_stored_taps_the_time(office: Office, device: Device) -> None:
    ack = office.send(device, device.message([device.record(uptime_ms=10_000, **_UNKNOWN)]))
    assert (ack.status, _moments(office, device)) == (STATUS_OK_FLAGGED, [None])
    office.clock.at_ms += 60_000
    office.send(device, device.message([device.record(uptime_ms=80_000, tapped_at_s=NOW_S + 60)]))
    assert _moments(office, device) == [NOW_S - 10, None]
    with office.database.reading() as session:
        settled = session.scalars(select(TapException)).one()
    assert (settled.reason, settled.resolved_by) == ("clock_unknown", "service")
    assert office.count(DirtyDay) == 0, "its day did not change"


def test_a_start_that_is_settled_is_not_looked_at_again(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record(uptime_ms=10_000, **_UNKNOWN)]))
    assert office.validator(device).boot_unsettled
    office.send(device, device.message([device.record(uptime_ms=20_000, tapped_at_s=NOW_S - 30)]))
    assert not office.validator(device).boot_unsettled
    assert office.validator(device).boot_first_sequence == 1
    office.send(device, device.message([device.record(boot=2, uptime_ms=1_000, tapped_at_s=NOW_S - 20)]))
    assert office.validator(device).boot_first_sequence == 3


def test_a_tap_that_moves_to_another_day_makes_new_versions_of_both(
    office: Office, device: Device, command: Command
) -> None:
    """It came after 03:00 and seemed to be of today; a record of the same start then tells that it was yesterday."""
    early = [device.record(uptime_ms=1_000, **_UNKNOWN), device.record(uptime_ms=2_000, **_UNKNOWN)]
    office.send(device, device.message(early))
    assert _days(office) == [DAY, DAY]
    office.clock.at_ms = NOW_MS + _DAY_S * 1000
    other = office.enrol(Device(seed=2), vehicle="A-102")
    office.send(other, other.message([other.record(tapped_at_s=NOW_S - _DAY_S)]))
    assert (_close(office, DAY)["rides"], _close(office, _YESTERDAY)["rides"]) == (2, 1)
    # Six hours of uptime later, at 04:00 of the day on which they came, it knew the time.
    office.send(device, device.message([device.record(uptime_ms=6 * 3_600_000, tapped_at_s=NOW_S - 4 * 3_600)]))
    assert sorted(_days(office)) == [_YESTERDAY, _YESTERDAY, _YESTERDAY, DAY]
    assert office.count(DirtyDay) == 2
    again = _close(office, DAY)
    assert (again["version"], again["rides"], again["rides_difference"]) == (2, 1, -1)
    yesterday = office.client.get(f"/v1/closes/{CITY}/{_YESTERDAY}").json()
    assert (yesterday["version"], yesterday["rides"], yesterday["rides_difference"]) == (2, 3, 2)
    assert office.count(DirtyDay) == 0
    _close(office, DAY, 409)
    _close(office, _YESTERDAY, 409)
    assert command.json("ledger", "check")["faults"] == []
    assert "day_moved" in office.reasons()


def test_closing_either_day_closes_the_other(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record(uptime_ms=1_000, **_UNKNOWN)]))
    office.clock.at_ms = NOW_MS + _DAY_S * 1000
    _close(office, DAY)
    office.send(device, device.message([device.record(uptime_ms=6 * 3_600_000, tapped_at_s=NOW_S - 4 * 3_600)]))
    assert _close(office, _YESTERDAY)["version"] == 1
    today = office.client.get(f"/v1/closes/{CITY}/{DAY}").json()
    assert (today["version"], today["rides"]) == (2, 1)


# Whatever the batches were.


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_the_same_comes_out_whatever_the_batches_were(office: Office, device: Device, size: int) -> None:
    step = {"kind": KIND_CLOCK_STEP, "extensions": {0: -900}, **_NO_RIDE}
    records = [
        device.record(uptime_ms=1_000, **_UNKNOWN),
        device.record(uptime_ms=5_000, tapped_at_s=NOW_S + 100),
        device.record(uptime_ms=9_000, clock_quality=CLOCK_HOLDOVER, tapped_at_s=NOW_S + 104),
        device.record(uptime_ms=100_000, tapped_at_s=NOW_S - 700, **step),
        device.record(uptime_ms=200_000, clock_quality=CLOCK_HOLDOVER, tapped_at_s=NOW_S),
        device.record(uptime_ms=300_000, tapped_at_s=NOW_S - 500),
        device.record(boot=2, uptime_ms=1_000, clock_quality=CLOCK_HOLDOVER, tapped_at_s=NOW_S - 9_000),
        device.record(boot=2, uptime_ms=2_000, **_UNKNOWN),
        device.record(boot=2, uptime_ms=62_000, tapped_at_s=NOW_S - 30),
    ]
    head = device.head
    for start in range(0, len(records), size):
        batch = device.batch(records[start : start + size], start + 1, head)
        head = batch.head_after
        assert office.send(device, device.sign(batch)).sequence == min(start + size, len(records))
    assert _moments(office, device) == [
        *(NOW_S - 799, NOW_S - 795, NOW_S - 791, None),
        *(NOW_S - 600, None, NOW_S - 91, NOW_S - 90, None),
    ]


# The answer to a clock that is wrong.


@pytest.mark.parametrize(
    ("off_s", "quality", "status"),
    [
        (301, CLOCK_SYNCHRONISED, STATUS_CLOCK_SUSPECT),
        (-301, CLOCK_HOLDOVER, STATUS_CLOCK_SUSPECT),
        (300, CLOCK_SYNCHRONISED, STATUS_OK),
        (-100_000, CLOCK_UNKNOWN, STATUS_OK),
    ],
)
def test_a_clock_that_is_far_off_is_told_so_and_everything_is_stored(
    office: Office, device: Device, off_s: int, quality: int, status: int
) -> None:
    batch = device.batch([device.record()], 1, device.head, device_time_s=NOW_S + off_s, clock_quality=quality)
    ack = office.send(device, device.sign(batch))
    assert (ack.status, ack.sequence, ack.server_time_s) == (status, 1, NOW_S)
