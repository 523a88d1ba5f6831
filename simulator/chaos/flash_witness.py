"""Stands between a validator and its flash, and notes what was written where: an account that is not the journal's own.

It knows the format of slots and nothing of rings, marks or recovery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.slots import SLOT_BYTES, decode_record
from protocol.decisions import DECISION_COMMITTED
from protocol.errors import TapError
from protocol.tap import KIND_INTENT, KIND_OUTCOME, decode_tap
from simulator.flash import PowerCut

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.tap import Tap
    from simulator.flash import NorFlash

_ERASE = 6
PROGRAMMED_ONCE = "flash is programmed once"
ONE_CONTENT = "a sequence has one content"


class FlashWitness:
    """The flash of one validator, as the validator gets it.

    Attributes:
        nor: the flash itself.
        records: every record that was ever whole on it, by sequence, in this epoch.
        taps: the same, decoded.
        present: (sector, first slot, slots) of each that is on it now.
        rotten: sequences that lie, or lay, where a bit changed or behind a header in which one did.
        has_rotted: some bit of it has changed.
        on_fault: told the invariant and what must never happen.
        outcomes: whether each debit with an outcome was committed, by sequence of its intent.
        on_record: told each record that is now whole on flash.
        on_erase: told the sequences that an erase is about to take away.
    """

    def __init__(
        self, nor: NorFlash, on_fault: Callable[[str, str], None], on_erase: Callable[[list[int]], None]
    ) -> None:
        self.nor = nor
        self.records: dict[int, bytes] = {}
        self.taps: dict[int, Tap] = {}
        self.present: dict[int, tuple[int, int, int]] = {}
        self.rotten: set[int] = set()
        self.has_rotted = False
        self.outcomes: dict[int, bool] = {}
        self.last_intent: int | None = None
        self.on_fault = on_fault
        self.on_erase = on_erase
        self.on_record: Callable[[Tap], None] = lambda _: None
        self._sectors = nor.ioctl(4, 0)
        self._programmed = bytearray(len(nor.data))
        self._in_sector: list[list[int]] = [[] for _ in range(self._sectors)]
        self._rotten_headers: set[int] = set()

    def copy_onto(self, other: FlashWitness) -> None:
        """Give another witness what this one knows, and its flash what this one's holds."""
        other.nor.data[:] = self.nor.data
        other.records, other.taps = dict(self.records), dict(self.taps)
        other.present, other.rotten = dict(self.present), set(self.rotten)
        other.outcomes, other.last_intent = dict(self.outcomes), self.last_intent
        other._programmed[:] = self._programmed
        other._in_sector = [list(sequences) for sequences in self._in_sector]
        other._rotten_headers = set(self._rotten_headers)

    def succeed(self, other: FlashWitness) -> None:
        """Go on with the flash of another witness, whose records are of another life."""
        self._programmed[:] = other._programmed

    # The block device.

    def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
        self.nor.readblocks(block, buffer, offset)

    def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        data = bytes(buffer)
        before = self.nor.programmed_bytes
        try:
            self.nor.writeblocks(block, data, offset)
        except PowerCut:
            self._note_programmed(block, offset, self.nor.programmed_bytes - before)
            raise
        self._note_programmed(block, offset, len(data))
        if offset:
            self._note_record(block, offset, data)

    def ioctl(self, operation: int, argument: int) -> int:
        if operation != _ERASE:
            return self.nor.ioctl(operation, argument)
        going = self._in_sector[argument]
        self.on_erase(going)
        for sequence in going:
            self.present.pop(sequence, None)
        self._in_sector[argument] = []
        self.nor.ioctl(operation, argument)
        size = self.nor.sector_bytes
        self._programmed[argument * size : (argument + 1) * size] = bytes(size)
        self._rotten_headers.discard(argument)
        return 0

    def _note_programmed(self, sector: int, offset: int, size: int) -> None:
        place = sector * self.nor.sector_bytes + offset
        if any(self._programmed[place : place + size]):
            self.on_fault(
                PROGRAMMED_ONCE, f"sector {sector}, byte {offset} was programmed twice without an erase between"
            )
        self._programmed[place : place + size] = b"\x01" * size

    def _note_record(self, sector: int, offset: int, data: bytes) -> None:
        place = sector * self.nor.sector_bytes + offset
        record = decode_record(data)
        if record is None or self.nor.data[place : place + len(data)] != data:
            return  # it was not kept: whoever wrote it must see that
        sequence, payload = record
        if self.records.get(sequence, payload) != payload:
            self.on_fault(ONE_CONTENT, f"sequence {sequence} was used again for another record")
        self.records[sequence] = payload
        try:
            tap = self.taps[sequence] = decode_tap(payload)
        except TapError:
            return
        self.present[sequence] = (sector, offset // SLOT_BYTES, len(data) // SLOT_BYTES)
        self._in_sector[sector].append(sequence)
        if sector in self._rotten_headers:
            self.rotten.add(sequence)
        self.on_record(tap)
        if tap.kind == KIND_INTENT:
            self.last_intent = sequence
        elif tap.kind == KIND_OUTCOME and isinstance(tap.reference, int):
            is_committed = tap.decision == DECISION_COMMITTED
            self.outcomes[tap.reference] = is_committed or self.outcomes.get(tap.reference, False)

    def slots_left(self) -> int:
        """How many slots are blank behind everything that was programmed into the sector of the newest record."""
        if not self.present:
            return 0
        sector, size = self.present[max(self.present)][0], self.nor.sector_bytes
        programmed = self._programmed[sector * size : (sector + 1) * size].rstrip(b"\x00")
        return (size - len(programmed)) // SLOT_BYTES

    @property
    def is_sound(self) -> bool:
        """No cell of it has ever failed."""
        return not self.has_rotted and not self.nor.stuck

    # Decay.

    def flip(self, address: int, bit: int) -> None:
        """Change a bit."""
        self.nor.data[address] ^= 1 << bit
        self.has_rotted = True
        self._note_rot(address)

    def stick(self, address: int) -> None:
        """Let a cell keep the value it has, whatever is programmed from now on."""
        self.nor.stuck[address] = self.nor.data[address]

    def _note_rot(self, address: int) -> None:
        sector, offset = divmod(address, self.nor.sector_bytes)
        slot = offset // SLOT_BYTES
        if slot == 0:
            self._rotten_headers.add(sector)
            self.rotten.update(self._in_sector[sector])
            return
        for sequence in self._in_sector[sector]:
            _, first, count = self.present[sequence]
            if first <= slot < first + count:
                self.rotten.add(sequence)
