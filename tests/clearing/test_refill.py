"""A database that is restored from a backup: the validators refill it, say what they cannot refill, and nobody waits for ever.

The validator's side is its real journal, on a small flash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from clearing.fleet.models import Validator
from clearing.ingest.models import TapException, TapRow
from clearing.ingest.run import Placed
from clearing.ingest.suspicion import suspicion_about_overwritten
from firmware.journal import Journal
from protocol.ack import STATUS_GAP, STATUS_OK
from protocol.tap import KIND_LOST_RANGE, Tap
from simulator.flash import NorFlash
from tests.builders import DAY, NOW_S, Device, Office

if TYPE_CHECKING:
    from protocol.ack import Ack
    from protocol.batch import Batch

_SECTORS = 4


class _Bus:
    """A validator with a journal: it records, syncs, and goes back where the service has less."""

    def __init__(self, office: Office, device: Device) -> None:
        self._office = office
        self._device = device
        self.journal = Journal(NorFlash(_SECTORS), b"k" * 32, device.id, device.epoch)
        self.journal.recover()
        self._next = 1

    def record(self, count: int) -> None:
        for _ in range(count):
            self.journal.append(lambda sequence: self._device.record(sequence=sequence, tapped_at_s=NOW_S))

    def sync(self) -> Ack:
        """Send one batch and take its ack, as the uploader does."""
        journal = self.journal
        before, records, after, _ = journal.records_from(self._next, 40, 6000)
        first = self._next
        if journal.is_unsure:
            first, records, after = journal.next_sequence + 1, [], before
        flash = (journal.free_slots, journal.oldest_sequence, 0, 1)
        batch: Batch = self._device.batch(records, first, before, head_after=after, flash=flash)
        ack = self._office.send(self._device, self._device.sign(batch))
        assert journal.join(ack.sequence, ack.head), "the service's chain must stay ours"
        journal.acknowledge(ack.sequence)
        self._next = ack.sequence + 1
        return ack

    def drain(self) -> list[Ack]:
        """Sync until everything is stored; it must not take for ever."""
        acks = [self.sync()]
        while acks[-1].sequence < self.journal.next_sequence - 1:
            acks.append(self.sync())
            assert len(acks) < 20, "it makes no progress"
        return acks


def _restore(office: Office, device: Device, mark: int, head: bytes) -> None:
    """Put the database back to when it had records up to a mark."""
    with office.database.writing() as session:
        session.execute(delete(TapException))
        session.execute(delete(TapRow).where(TapRow.sequence > mark))
        validator = session.get_one(Validator, device.id)
        validator.acked_sequence, validator.head = mark, head
        validator.boot = validator.uptime_ms = validator.boot_first_sequence = None


def _marked(office: Office, device: Device) -> tuple[int, bytes]:
    validator = office.validator(device)
    return validator.acked_sequence, validator.head


def test_what_the_bus_still_keeps_is_refilled(office: Office, device: Device) -> None:
    bus = _Bus(office, device)
    bus.record(10)
    bus.drain()
    backup = _marked(office, device)
    bus.record(10)
    bus.drain()
    _restore(office, device, *backup)
    bus.record(3)
    acks = bus.drain()
    assert [ack.status for ack in acks] == [STATUS_GAP, STATUS_OK]
    assert acks[0].sequence == 10
    assert acks[-1].head == bus.journal.head
    assert (office.count(TapRow), office.reasons()) == (23, [])


@pytest.mark.parametrize("records_before", [0, 10])
def test_what_the_bus_keeps_no_longer_is_said_with_its_range(
    office: Office, device: Device, records_before: int
) -> None:
    bus = _Bus(office, device)
    bus.record(records_before)
    bus.drain()
    mark, head = _marked(office, device)
    for _ in range(20):
        bus.record(15)
        bus.drain()
    assert bus.journal.oldest_sequence > mark + 1, "the ring has gone round"
    _restore(office, device, mark, head)
    bus.record(1)
    oldest = bus.journal.oldest_sequence
    bus.drain()
    assert office.reasons() == ["lost_range", "missing_after_restore"]
    found = office.client.get("/v1/exceptions", params={"city": "almaty", "reason": "missing_after_restore"}).json()
    missing = found["exceptions"][0]
    assert f"records {mark + 1} to {oldest - 1} were acknowledged once" in missing["detail"]
    assert (missing["sequence"], missing["service_day"]) == (mark + 1, DAY)
    assert office.validator(device).status == "active"
    # From there on both have one chain, and a further restore finds it again.
    bus.record(5)
    assert bus.drain()[-1].head == bus.journal.head
    assert _marked(office, device) == (bus.journal.next_sequence - 1, bus.journal.head)


def test_a_restore_to_the_very_beginning_is_survived_twice(office: Office, device: Device) -> None:
    bus = _Bus(office, device)
    genesis = device.head
    for _ in range(2):
        for _ in range(10):
            bus.record(20)
            bus.drain()
        _restore(office, device, 0, genesis)
        bus.drain()
        assert office.reasons() == ["lost_range", "missing_after_restore"]
    assert _marked(office, device) == (bus.journal.next_sequence - 1, bus.journal.head)


@pytest.mark.parametrize(
    ("first", "last", "oldest_kept", "is_missing"),
    [(5, 9, 10, True), (5, 9, 9, False), (5, 9, 1, False), (5, 9, None, False), (5, 4, 10, False), (6, 9, 10, False)],
)
def test_only_a_loss_before_the_oldest_kept_record_is_one_of_ours(
    first: int, last: int, oldest_kept: int | None, is_missing: bool
) -> None:
    tap = Tap(
        sequence=5, tapped_at_s=0, clock_quality=0, uptime_ms=0, boot=0, kind=KIND_LOST_RANGE, reference=[first, last]
    )
    placed = Placed(5, last, b"", tap, "", b"")
    assert placed.tap is not None
    assert (suspicion_about_overwritten(placed.tap, oldest_kept) is not None) is is_missing
