"""The journal's chain to the clearing service: reads records for a batch, and joins what the service says it has.

The chain goes on from an anchor, the last place where the service was heard to agree (`join`), and after a start from the
header of the sector in which the acknowledged mark lies. Where something is lost, nobody here knows which chain the service
has: the one over the record (it was stored before it rotted) or the one over the LOST_RANGE. Then `is_unsure` is set, and the
service must be asked before anything is sent. What it answers is ours if a header or what can be read leads to it, or leads on
from it; where only lost records lie between, its signature is believed. A sector opened after that carries HEADER_REBASED: its
chain is right even if what lies before does not lead to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.ring import Ring
from firmware.slots import MAC_BYTES
from protocol.batch import genesis_head, next_head
from protocol.tap import CLOCK_UNKNOWN, KIND_LOST_RANGE, Tap, encode_tap

if TYPE_CHECKING:
    from firmware.boards.board import Flash


class Chain(Ring):
    """A ring whose records are chained.

    Attributes:
        head: wire chain after the last record.
        is_unsure: something was lost, and the service has not yet said which chain it has.
    """

    def __init__(self, flash: Flash, key: bytes, device: bytes, epoch: int) -> None:
        self._anchor = 0
        self.head = self._anchor_head = self._genesis = genesis_head(device, epoch)
        super().__init__(flash, key, epoch, self.head[:MAC_BYTES])
        # The last lost record that was noticed; and whether the next sector says that its chain starts anew.
        self._lost = 0
        self._rebase = False
        self.is_unsure = False

    def records_from(self, sequence: int, limit: int, bytes_max: int) -> tuple[bytes, list[bytes], bytes, int]:
        """Return records from `sequence` on, as a batch carries them.

        Returns:
            Chain head before the first, the records, chain head after the last, and the sequence that follows it.
        """
        if sequence >= self.next_sequence:
            return self.head, [], self.head, self.next_sequence
        start, head = self._anchor, self._anchor_head
        if start >= sequence:
            sector = self._sector_of(sequence)
            header = self._sectors.header(sector)
            # One that cannot be read is that of the very first records.
            start = self._first[sector] - 1
            head = header.head_before if header is not None else self._genesis
        before = head
        records: list[bytes] = []
        size = 0
        for first, last, payload, header in self._walk_after(start):
            if header is not None:
                continue
            record = payload or self._lost_record(first, last)
            if last < sequence:
                head = before = next_head(head, record)
                continue
            if len(records) == limit or size + len(record) > bytes_max:
                return before, records, head, first
            records.append(record)
            size += len(record) + 3
            head = next_head(head, record)
        return before, records, head, self.next_sequence

    def _lost_record(self, first: int, last: int) -> bytes:
        """Return what stands for lost records; the first to notice them makes the chain go on over it."""
        if last > self._lost:
            self._lost = last
            self.is_unsure = True
            self._chain_anew()
        return lost_range(first, last)

    def head_at(self, sequence: int) -> bytes | None:
        """Return the chain head after `sequence`, or None when the journal does not know it."""
        if sequence == self.next_sequence - 1:
            return self.head
        if sequence == self._anchor:
            return self._anchor_head
        if sequence >= self.next_sequence or sequence < self.oldest_sequence - 1:
            return None
        return self.records_from(sequence + 1, 0, 0)[0]

    def _anchor_at(self, sector: int) -> None:
        header = self._sectors.header(sector)
        if header is not None:
            self._anchor, self._anchor_head = header.first_sequence - 1, header.head_before

    def join(self, sequence: int, head: bytes) -> bool:
        """Return whether the service's chain at `sequence` is ours, and go on from there."""
        if sequence >= self.next_sequence:
            return False
        goes_on = sequence >= self._anchor and self.head_at(sequence) == head
        if not goes_on and not self._leads_to_us(sequence, head):
            return False
        self._anchor, self._anchor_head = sequence, head
        self.is_unsure = False
        # A service that was restored from a backup has less than it once acknowledged: what it lacks is owed again.
        self.acked = min(self.acked, max(sequence, self.oldest_sequence - 1))
        if not goes_on:
            self._chain_anew()
        return True

    def _leads_to_us(self, sequence: int, head: bytes) -> bool:
        if self._newest < 0:
            return head == self.head
        if sequence < self.oldest_sequence - 1:
            return True  # whatever lies between is lost: nobody but the service knows
        return self._is_reached(sequence, head) or self._leads_on(sequence, head)

    def _is_reached(self, sequence: int, head: bytes) -> bool:
        """Return whether some header leads there, or whether something lies between that is lost, and no header vouches for."""
        heads: list[bytes] = []
        is_lost = False
        for first, last, payload, header in self._walk_after(self.oldest_sequence - 1):
            if last > sequence:
                is_lost = is_lost or (header is None and first <= sequence)
                break
            if header is None:
                is_lost = is_lost or payload is None
                heads = [next_head(each, payload or lost_range(first, last)) for each in heads]
            elif header.head_before not in heads:
                # Older than the loss: it names the chain over the record itself.
                is_lost = False
                heads.append(header.head_before)
        return is_lost or head in heads

    def _leads_on(self, sequence: int, head: bytes) -> bool:
        """Return whether the chain goes on from there to some header, or to our own end."""
        for first, last, payload, header in self._walk_after(sequence):
            if header is None:
                head = next_head(head, payload or lost_range(first, last))
            elif header.head_before == head:
                return True
        return head == self.head

    def _chain_anew(self) -> None:
        """Compute the chain again from the anchor; the next record opens a sector that carries it."""
        head = self._anchor_head
        for first, last, payload, header in self._walk_after(self._anchor):
            if header is None:
                if payload is None:
                    self._lost = max(self._lost, last)
                head = next_head(head, payload or lost_range(first, last))
        if head != self.head:
            self.head = head
            self._rebase = True
            self._slot = self._sectors.slots


def lost_range(first: int, last: int) -> bytes:
    """Return the record that stands for what became unreadable: the same bytes at each reading."""
    return encode_tap(
        Tap(
            sequence=first,
            tapped_at_s=0,
            clock_quality=CLOCK_UNKNOWN,
            uptime_ms=0,
            boot=0,
            kind=KIND_LOST_RANGE,
            reference=[first, last],
        )
    )
