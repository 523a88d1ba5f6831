"""Mutants of the journal and of what lies under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import Journal
from firmware.sectors import Sectors
from firmware.slots import decode_record, mac_of, record_slots
from protocol.tap import decode_tap
from simulator.chaos.board import ChaosBoard
from simulator.chaos.mutants.mutant import Mutants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware.boards.board import Flash
    from firmware.sectors import Cursor
    from firmware.slots import SectorHeader
    from simulator.chaos.parts import Parts

JOURNALLING = Mutants()
_mutant = JOURNALLING.needing


@_mutant()
def green_before_durable(parts: Parts) -> None:
    """Writes lie in a cache until the loop waits: flushing is not what it says (esp_littlefs 48; MicroOcpp 454)."""

    class Cached:
        def __init__(self, flash: Flash) -> None:
            self._flash = flash
            self._waiting: list[tuple[int, bytes, int]] = []

        def writeblocks(self, block: int, buffer: bytes, offset: int = 0) -> None:
            self._waiting.append((block, bytes(buffer), offset))

        def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
            self._flash.readblocks(block, buffer, offset)
            for sector, data, place in self._waiting:
                if sector == block and place <= offset and offset + len(buffer) <= place + len(data):
                    buffer[:] = data[offset - place : offset - place + len(buffer)]

        def ioctl(self, operation: int, argument: int) -> int:
            self.flush()
            return self._flash.ioctl(operation, argument)

        def flush(self) -> None:
            waiting, self._waiting = self._waiting, []
            for sector, data, place in waiting:
                self._flash.writeblocks(sector, data, place)

    class Board(ChaosBoard):
        def __init__(self, world: object, flash: Flash, *others: object) -> None:
            self._cache = Cached(flash)
            super().__init__(world, self._cache, *others)  # type: ignore[arg-type]

        def dial(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            self._cache.flush()
            return super().dial()

    parts.board = Board


def _on_sectors(parts: Parts, make: type[Sectors]) -> None:
    """Hand in a journal that stands on other sectors."""

    class Broken(Journal):
        def __init__(self, flash: Flash, key: bytes, device: bytes, epoch: int) -> None:
            super().__init__(flash, key, device, epoch)
            self._sectors = make(flash, key, epoch)

    parts.validator.journal = Broken


@_mutant("flash_stuck")
def no_read_back(parts: Parts) -> None:
    """What was programmed is believed to be there."""

    class Blind(Sectors):
        def program(self, sector: int, slot: int, data: bytes) -> bool:
            super().program(sector, slot, data)
            return True

    _on_sectors(parts, Blind)


@_mutant("cut_at_byte")
def torn_slot_taken_for_a_record(parts: Parts) -> None:
    """What begins like a record is one: no check sum, no MAC."""

    class Credulous(Sectors):
        def records(
            self, sector: int, header: SectorHeader | None, cursor: Cursor
        ) -> Iterator[tuple[int, int, bytes | None]]:
            if header is not None:
                cursor.mac = header.mac_before
            cursor.slot = slot = 1
            while slot < self.slots:
                view = self._read(sector, slot, 1)
                count = record_slots(view)
                if not count or slot + count > self.slots:
                    slot += 1
                    continue
                view = self._read(sector, slot, count)
                record = decode_record(view) or (cursor.expected, bytes(view[8:-12]))
                cursor.mac, cursor.expected = mac_of(view), record[0] + 1
                cursor.slot = slot = slot + count
                yield record[0], record[0], record[1]

    _on_sectors(parts, Credulous)


@_mutant("tunnel", sectors=4, gap_ms=4_000)
def erase_before_ack(parts: Parts) -> None:
    """When memory is full, the oldest record is overwritten, as data sheets of validators say."""

    class Broken(Journal):
        def _is_free(self, sector: int) -> bool:
            return sector != self._newest

    parts.validator.journal = Broken


@_mutant()
def acknowledged_one_too_many(parts: Parts) -> None:
    """The mark is taken for the next sequence: the first tap after each ack may be overwritten unsent."""

    class Broken(Journal):
        def acknowledge(self, sequence: int) -> None:
            self.acked = max(self.acked, sequence + 1)

    parts.validator.journal = Broken


@_mutant("cut_any_time")
def mark_guessed_after_a_start(parts: Parts) -> None:
    """After a start everything before the newest sector is held for acknowledged: the hint is trusted beyond its floor."""

    class Broken(Journal):
        def recover(self, on_record: Callable[[int, bytes], None] | None = None) -> None:
            super().recover(on_record)
            self.acked = max(self.acked, self._first[self._newest] - 1) if self._newest >= 0 else 0

    parts.validator.journal = Broken


@_mutant("cut_any_time", "tunnel")
def sequence_begins_again_after_a_start(parts: Parts) -> None:
    """The counter lies in memory: after a start it goes on behind what was acknowledged, over what was not."""

    class Broken(Journal):
        def recover(self, on_record: Callable[[int, bytes], None] | None = None) -> None:
            super().recover(on_record)
            self.next_sequence = self.acked + 1

    parts.validator.journal = Broken


@_mutant("clock_jump")
def validator_orders_by_clock(parts: Parts) -> None:
    """Only what is newer than the newest that was sent is sent: a clock that went back hides taps."""

    class Broken(Journal):
        newest_s = 0

        def records_from(self, sequence: int, limit: int, bytes_max: int) -> tuple[bytes, list[bytes], bytes, int]:
            before, records, after, following = super().records_from(sequence, limit, bytes_max)
            fresh = [record for record in records if decode_tap(record).tapped_at_s >= self.newest_s]
            self.newest_s = max([self.newest_s, *(decode_tap(record).tapped_at_s for record in fresh)])
            return before, fresh, after, following

    parts.validator.journal = Broken


@_mutant(sectors=4, gap_ms=4_000)
def acknowledged_is_not_kept(parts: Parts) -> None:
    """What is acknowledged is erased in idle time: a service that was restored from last night's backup never gets it again."""

    class Broken(Journal):
        def erase_ahead(self, is_kept: Callable[[bytes], bool] | None = None) -> bool:
            del is_kept
            return super().erase_ahead()

    parts.validator.journal = Broken


@_mutant("re_enrol")
def epoch_ignored_by_the_validator(parts: Parts) -> None:
    """After a new enrolment the journal goes on with the records of the old one."""

    class Careless(Sectors):
        def header(self, sector: int) -> SectorHeader | None:
            for self._epoch in range(1, 9):
                header = super().header(sector)
                if header is not None:
                    return header
            return None

    _on_sectors(parts, Careless)
