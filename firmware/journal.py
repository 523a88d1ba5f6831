"""The validator's own record: a ring of slots on raw NOR flash, not a file (format: `firmware.slots`).

Promises. A record is durable and read back before `append` returns. Nothing is programmed twice, and nothing unacknowledged is
ever overwritten: a full ring raises JournalFull. Sequences follow on from 1 and are never used again.

What a power cut or rot leaves, `firmware.recovery` finds at the start; where records lie, `firmware.ring` knows; what the
clearing service has of them, `firmware.chain`. Here they are written.

What is acknowledged stays for a while: a service that was restored from a backup gets it again. A sector is erased when its
room is needed; before, in idle time, when half of the one being written is full, or when nobody wants its records any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# First what others would load from within their own loading: a device's stack is short.
from firmware.slots import HEADER_REBASED, SectorHeader, encode_header, encode_record, mac_of, slots_for
from protocol.batch import next_head

# isort: split
from firmware.chain import Chain, lost_range
from firmware.ring import JournalError, JournalFull
from protocol.compat import const, forget

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.boards.board import Flash

__all__ = ["Journal", "JournalError", "JournalFull", "lost_range"]

_PROGRAM_TRIES = const(3)


class Journal(Chain):
    """A ring of sectors that is written to.

    Attributes:
        next_sequence: of the record that will be appended.
        acked: every record up to it is known to be stored by the clearing service.
        head: wire chain after the last record.
        is_unsure: something was lost, and the service has not yet said which chain it has.
        torn: torn slots met at the last recovery.
    """

    def __init__(self, flash: Flash, key: bytes, device: bytes, epoch: int) -> None:
        super().__init__(flash, key, device, epoch)
        self._key = key
        self._epoch = epoch
        # Of the newest sector; and the MAC of the last record.
        self._number = 0
        self._mac = self._mac_genesis
        # First sequence of the sector whose last record was looked at, and that record.
        self._looked_at: tuple[int, bytes | None] = (0, None)

    def recover(self, on_record: Callable[[int, bytes], None] | None = None) -> None:
        """Find out what is on the flash.

        Args:
            on_record: told each record of the unacknowledged part and of the last two sectors, in order.

        Raises:
            JournalError: the flash holds the journal of another device.
        """
        from firmware.recovery import recover  # noqa: PLC0415 - needed once

        recover(self, on_record)
        forget("firmware.recovery")

    def join(self, sequence: int, head: bytes) -> bool:
        """Do so, and put a chain that starts anew on flash at once where there is room."""
        is_ours = super().join(sequence, head)
        if is_ours and self._rebase and self._is_free(self._following()):
            self._open_sector()
        return is_ours

    def append(self, make_record: Callable[[int], bytes], slots_after: int = 0) -> int:
        """Make a record for the next sequence durable, and return that sequence.

        Args:
            make_record: is told the sequence and returns the record's bytes.
            slots_after: room that must be left afterwards: a debit's intent keeps the place of its outcome.

        Raises:
            JournalFull: that would overwrite what was not acknowledged.
            JournalError: the flash does not take it.
        """
        sequence = self.next_sequence
        payload = make_record(sequence)
        count = slots_for(len(payload))
        for _ in range(_PROGRAM_TRIES):
            self._make_room(count, slots_after)
            data = encode_record(sequence, payload, self._mac, self._sectors.record_key)
            slot = self._slot
            self._slot += count
            if self._sectors.program(self._newest, slot, data):
                self._mac = mac_of(data)
                self.head = next_head(self.head, payload)
                self.next_sequence = sequence + 1
                return sequence
        raise JournalError("the flash does not keep what is written: replace it")

    def _make_room(self, count: int, slots_after: int) -> None:
        left = self._sectors.slots - self._slot if self._newest >= 0 else 0
        if left < count:
            self._open_sector()
            left = self._sectors.slots - self._slot
        if left < count + slots_after and not self._is_free(self._following()):
            raise JournalFull("nothing free that is not still owed to the clearing service")

    def _open_sector(self) -> None:
        for _ in range(self._sectors.count):
            sector = self._following()
            if not self._is_free(sector):
                raise JournalFull("nothing free that is not still owed to the clearing service")
            self._erase(sector)
            flags = HEADER_REBASED if self._rebase else 0
            header = SectorHeader(
                flags, self._epoch, self._number + 1, self.next_sequence, self.head, self._mac, self.acked
            )
            if self._sectors.program(sector, 0, encode_header(header, self._key)):
                if self._newest < 0:
                    self._oldest = sector
                self._newest = sector
                self._number += 1
                self._first[sector] = self.next_sequence
                self._rebase = False
                self._slot = 1
                return
            self._bad[sector] = 1
        raise JournalError("the flash does not keep what is written: replace it")

    def _erase(self, sector: int) -> None:
        """Make a sector blank that holds nothing which is still owed."""
        if self._is_live(sector):
            # It comes next in the ring, so it is the oldest, or lies before the oldest that can be read.
            self._first[sector] = 0
            while not self._first[self._oldest]:
                if self._oldest == self._newest:
                    # No header is left, so nothing is owed.
                    self._first[self._oldest] = self.next_sequence
                else:
                    self._oldest = (self._oldest + 1) % self._sectors.count
            if self._anchor < self.oldest_sequence - 1:
                self._anchor_at(self._oldest)
        self._sectors.make_blank(sector)

    def acknowledge(self, sequence: int) -> None:
        """Note that the clearing service has everything up to `sequence`; its room may be used again."""
        self.acked = max(self.acked, min(sequence, self.next_sequence - 1))

    def erase_ahead(self, is_kept: Callable[[bytes], bool] | None = None) -> bool:
        """Erase the sector that comes next, in idle time, so that no tap waits for it; return whether that was needed.

        Args:
            is_kept: is told the last record of the sector and returns whether it is worth keeping while there is room: until
                half of the sector being written is full.
        """
        sector = self._following()
        if self._newest < 0 or self._sectors.is_known_blank(sector) or not self._is_free(sector):
            return False
        if is_kept is not None and 2 * self._slot < self._sectors.slots and self._is_live(sector):
            last = self._last_record(sector)
            if last is not None and is_kept(last):
                return False
        self._erase(sector)
        return True

    def _last_record(self, sector: int) -> bytes | None:
        """Return the last record of a sector that can be read; it is read once, not each time that nothing is to be done."""
        if self._looked_at[0] != self._first[sector]:
            last = None
            header = self._sectors.header(sector)
            if header is not None:
                for _, _, payload in self._sectors.records(sector, header, self._cursor(header.first_sequence)):
                    last = payload or last
            self._looked_at = (self._first[sector], last)
        return self._looked_at[1]
