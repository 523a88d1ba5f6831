"""The journal under power cuts at any byte that it programs, with its bits in any order, and within any erase, on many flashes.

A day begins with a ring that is empty, half full, or has turned. Of some steps every byte is tried, of the others a few, so that
the day is long enough for the ring to turn again. After each cut the journal is started from what the cells hold then, never from
the beginning of the day, and held against an oracle: what was promised to riders, and what the service has. Now and then the cut
is real: the day goes on from there.

Where bits were programmed in no order, a record at the very end can look as one that rotted after it was promised, and the
journal must say that it is lost though nobody was promised anything. That is a false alarm: counted, and no fault.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware.journal import lost_range
from firmware.slots import RECORD_SLOTS_MAX
from protocol.batch import next_head
from simulator.flash import NorFlash
from tests.firmware.journal_bench import SIZES, SLOT, open_journal
from tests.firmware.test_journal_properties import Service, Validator
from tests.soak.torn_flash import WatchedFlash, states, states_of

if TYPE_CHECKING:
    from firmware.journal import Journal

# Sectors, and bytes in each: from the smallest ring that turns to the one of a board.
GEOMETRIES = ((3, 1024), (4, 1024), (8, 1024), (16, 1024), (4, 2048), (4, 4096), (8, 4096), (64, 4096))
_WINDOW = 40
_LOOK_AT_ALL_EVERY = 50
_GO_ON_EVERY = 25
_FULL_RINGS_MAX = 1.5
_EVERY_BYTE_OF = 0.02
_POINTS = 8
_LAST_POINTS = 3
_FAULTS_MAX = 10
_SIZES = (1, 60, 60, 60, *SIZES, 109, 300)


@dataclass
class Tally:
    """What came of it: `cuts`, `records`, and `lost`, `doubled`, `phantom`, which must be 0; faults in words."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def _chained(head: bytes, records: list[bytes]) -> bytes:
    for record in records:
        head = next_head(head, record)
    return head


def _alarms(sequence: int) -> list[list[bytes]]:
    """Return what a journal may say of a record that begins there; of its length it cannot be sure."""
    return [[lost_range(sequence, last)] for last in range(sequence, sequence + RECORD_SLOTS_MAX)]


class CutDay:
    """One day of one journal.

    Attributes:
        tally: what came of it.
    """

    def __init__(self, sectors: int, sector_bytes: int, seed: int) -> None:
        self._name = f"{sectors} × {sector_bytes}, seed {seed}"
        self._chance = random.Random(f"{sectors} {sector_bytes} {seed}")
        self._flash = WatchedFlash(sectors, sector_bytes)
        self._torn = NorFlash(sectors, sector_bytes)
        self._validator = Validator(self._flash, Service())
        self.tally = Tally()

    def play(self, cuts: int) -> Tally:
        """Let the power fail so many times (and to the end of the step that was begun)."""
        self._fill()
        while self.tally.counts["cuts"] < cuts and len(self.tally.faults) < _FAULTS_MAX:
            self._step()
        self._come_home()
        return self.tally

    def _fill(self) -> None:
        """Let some of the day pass without a power cut."""
        slots = len(self._flash.data) // SLOT
        validator = self._validator
        for number in range(int(slots * self._chance.uniform(0, _FULL_RINGS_MAX))):
            validator.append(60)
            if number % 8 == 0:
                validator.sync()
                validator.sync()
                validator.journal.erase_ahead()

    def _step(self) -> None:
        validator, flash = self._validator, self._flash
        self._torn.data[:] = flash.data
        promised = len(validator.promised)
        flash.done.clear()
        draw = self._chance.random()
        if draw < 0.66:
            validator.append(self._chance.choice(_SIZES))
        elif draw < 0.9:
            validator.sync(is_heard=self._chance.random() < 0.7)
        elif draw < 0.97:
            validator.journal.erase_ahead()
        else:
            validator.start()
        if flash.done:
            self._cut(promised)

    def _cut(self, promised: int) -> None:
        tried = self._draw_points(1 + sum(states_of(data) for _, data in self._flash.done))
        real = self._chance.choice(sorted(tried)) if self._chance.random() < 1 / 3 else None
        left = b""
        for number, is_in_no_order in enumerate(states(self._torn, self._flash.done, self._chance)):
            if number in tried:
                self._look(promised, is_in_no_order)
            if number == real and not is_in_no_order:
                left = bytes(self._torn.data)
        if left:
            self._go_on_from(left, promised)

    def _draw_points(self, count: int) -> set[int]:
        """Return at which of so many states of a step the power fails."""
        if self._chance.random() < _EVERY_BYTE_OF:
            return set(range(count))
        return {*range(max(0, count - _LAST_POINTS), count), *self._chance.sample(range(count), min(count, _POINTS))}

    # One cut.

    def _look(self, promised: int, is_in_no_order: bool = False) -> None:
        """Start from what the cells hold, and compare."""
        tally, validator = self.tally, self._validator
        tally.counts["cuts"] += 1
        number = tally.counts["cuts"]
        journal = open_journal(self._torn)
        oldest = journal.oldest_sequence
        first = oldest if number % _LOOK_AT_ALL_EVERY == 0 else max(oldest, promised - _WINDOW)
        before, records, after, _ = journal.records_from(first, 100_000, 100_000_000)
        expected, more = validator.promised[first - 1 : promised], records[promised - first + 1 :]
        is_alarm = is_in_no_order and more in _alarms(promised + 1)
        tally.counts["false alarms"] += is_alarm
        if records[: len(expected)] != expected or journal.is_unsure != is_alarm:
            self._fault("lost", "what was promised is not there")
        if more and more != validator.promised[promised : promised + 1] and not is_alarm:
            self._fault("phantom", "there is what was never written")
        if oldest > validator.service.acked + 1 or journal.acked > validator.service.acked:
            self._fault("lost", "something unacknowledged was overwritten, or is held for acknowledged")
        if before != validator.chain[first - 1] or after != _chained(validator.chain[promised], more):
            self._fault("doubled", "the chain is another")
        if number % _GO_ON_EVERY == 0 and journal.next_sequence == promised + 1 + len(more):
            self._send_all(journal, promised, more)

    def _send_all(self, journal: Journal, promised: int, more: list[bytes]) -> None:
        """One more rider, and then everything is sent: the service must have each record once."""
        flash = NorFlash(len(self._torn.data) // self._torn.sector_bytes, self._torn.sector_bytes)
        flash.data[:] = self._torn.data
        service = copy.copy(self._validator.service)
        service.stored = dict(service.stored)
        stored = len(service.stored)
        restarted = Validator(flash, service)
        restarted.promised = self._validator.promised[:promised] + more
        restarted.chain = [*self._validator.chain[: promised + 1], *([journal.head] if more else [])]
        assert restarted.journal.next_sequence == journal.next_sequence
        restarted.append(60)
        restarted.sync_all()
        self._compare(restarted, from_sequence=max(1, stored - _WINDOW))

    def _compare(self, validator: Validator, from_sequence: int = 1) -> None:
        service, promised = validator.service, validator.promised
        if service.forks:
            self._fault("doubled", "two records of one number were sent")
        if service.acked != len(promised):
            self._fault("lost" if service.acked < len(promised) else "phantom", "the service has not as many records")
        for sequence in range(from_sequence, service.acked + 1):
            if service.stored.get(sequence, (b"", 0))[0] != promised[sequence - 1]:
                self._fault("lost", f"record {sequence} is not what was promised")
        if validator.flash.reprogrammed:
            self._fault("doubled", "a cell was programmed twice")

    def _go_on_from(self, left: bytes, promised: int) -> None:
        """The power has failed indeed."""
        validator = self._validator
        self._flash.data[:] = left
        del validator.promised[promised:], validator.chain[promised + 1 :]
        validator.start()
        self.tally.counts["power cuts gone through"] += 1
        _, records, _, _ = validator.journal.records_from(promised + 1, 1, 1000)
        for record in records:
            # It was whole, though nobody was told.
            validator.promised.append(record)
            validator.chain.append(next_head(validator.chain[-1], record))

    def _come_home(self) -> None:
        try:
            self._validator.sync_all()
        except AssertionError as error:
            self._fault("lost", str(error))
        self._compare(self._validator)
        self.tally.counts["records"] = len(self._validator.promised)

    def _fault(self, kind: str, text: str) -> None:
        self.tally.counts[kind] += 1
        if len(self.tally.faults) < _FAULTS_MAX:
            self.tally.faults.append(f"{self._name}, cut {self.tally.counts['cuts']}: {text}")
