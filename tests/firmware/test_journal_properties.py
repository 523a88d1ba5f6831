"""The journal under any power cut and any rot, against a service that keeps what it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.journal import JournalFull
from protocol.batch import next_head
from protocol.errors import TapError
from protocol.tap import decode_tap, last_sequence
from simulator.flash import NorFlash, PowerCut
from tests.firmware.journal_bench import GENESIS, SECTOR_BYTES, SIZES, open_journal, payload

if TYPE_CHECKING:
    from firmware.journal import Journal

SECTORS = 4
BATCH_RECORDS = 5
ROUNDS_MAX = 40


def last_of(record: bytes, sequence: int) -> int:
    """The last sequence that a record stands for: only lost ranges are records that a service can read here."""
    try:
        return last_sequence(decode_tap(record))
    except TapError:
        return sequence


class Service:
    """The other end of the wire: it stores what joins its chain, and says how far that goes.

    Attributes:
        stored: record and last sequence, by first sequence.
        acked, head: how far its chain goes.
        forks: batches that contradict what is stored; a validator is quarantined for one.
    """

    def __init__(self) -> None:
        self.stored: dict[int, tuple[bytes, int]] = {}
        self.acked = 0
        self.head = GENESIS
        self.forks = 0

    def receive(self, first: int, before: bytes, records: list[bytes]) -> None:
        if first > self.acked + 1:
            return
        sequence, head = first, before
        fresh = []
        for record in records:
            head = next_head(head, record)
            last = last_of(record, sequence)
            if sequence > self.acked:
                fresh.append((sequence, record, last, head))
            elif self.stored.get(sequence) != (record, last) or (last == self.acked and head != self.head):
                self.forks += 1
                return
            sequence = last + 1
        if first == self.acked + 1 and before != self.head:
            self.forks += 1
            return
        for sequence, record, last, head in fresh:
            self.stored[sequence] = (record, last)
            self.acked, self.head = last, head


class Validator:
    """A journal as recorder and uploader use it.

    Attributes:
        promised: records whose append returned, in order.
        chain: the chain head before the first of them, and after each.
    """

    def __init__(self, flash: NorFlash, service: Service) -> None:
        self.flash = flash
        self.service = service
        self.promised: list[bytes] = []
        self.chain = [GENESIS]
        self.start()

    def start(self) -> None:
        self.flash.cut_after_bytes = None
        self.journal: Journal = open_journal(self.flash)
        self.position = self.journal.acked + 1

    def append(self, size: int) -> None:
        try:
            sequence = self.journal.append(lambda sequence: payload(sequence, size))
        except JournalFull:
            return
        assert sequence > len(self.promised), "no sequence is used twice"
        while len(self.promised) < sequence - 1:
            self.promised.append(b"never promised: programmed, and not read back")
        self.promised.append(payload(sequence, size))
        self.chain.append(next_head(self.chain[-1], self.promised[-1]))

    def sync(self, *, is_heard: bool = True) -> None:
        """Send a batch; the answer may be lost on the way."""
        first = self.position
        before, records, _, _ = self.journal.records_from(first, BATCH_RECORDS, 4000)
        if self.journal.is_unsure:
            first, records = self.journal.next_sequence + 1, []
        self.service.receive(first, before, records)
        if is_heard and self.journal.join(self.service.acked, self.service.head):
            self.journal.acknowledge(self.service.acked)
            self.position = self.service.acked + 1

    def sync_all(self) -> None:
        for _ in range(ROUNDS_MAX):
            if self.service.acked == self.journal.next_sequence - 1 and not self.journal.is_unsure:
                return
            self.sync()
        raise AssertionError("the service never gets everything")


def check(validator: Validator) -> None:
    """What holds at any time without rot."""
    journal, service = validator.journal, validator.service
    oldest = journal.oldest_sequence
    before, records, after, following = journal.records_from(oldest, 10_000, 1_000_000)
    assert journal.acked <= service.acked
    assert oldest <= service.acked + 1, "nothing unacknowledged was overwritten"
    assert following == journal.next_sequence == len(validator.promised) + 1
    assert records == validator.promised[oldest - 1 :]
    assert (before, after) == (validator.chain[oldest - 1], validator.chain[-1])
    assert not journal.is_unsure
    assert service.forks == 0
    assert validator.flash.reprogrammed == 0


# Any power cut.

steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from((1, 60, *SIZES, 109, 300))),
    st.tuples(st.just("append"), st.just(60)),
    st.tuples(st.just("sync"), st.booleans()),
    st.tuples(st.just("erase"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("cut"), st.integers(0, 1500)),
)


def do(validator: Validator, step: str, argument: int) -> None:
    if step == "append":
        validator.append(argument)
    elif step == "sync":
        validator.sync(is_heard=bool(argument))
    elif step == "erase":
        validator.journal.erase_ahead()
    elif step == "restart":
        validator.start()
    elif step == "cut":
        validator.flash.cut_after_bytes = argument
    elif step == "rot":
        rot(validator.flash, argument)


@settings(deadline=None, max_examples=200)
@given(st.lists(steps, max_size=80), st.integers(0, 2**32))
def test_no_power_cut_loses_changes_or_repeats_a_record(script: list[tuple[str, int]], seed: int) -> None:
    validator = Validator(NorFlash(SECTORS, SECTOR_BYTES, seed), Service())
    for step, argument in script:
        try:
            do(validator, step, argument)
        except PowerCut:
            validator.start()
        check(validator)
    validator.start()
    validator.sync_all()
    check(validator)
    assert [record for record, _ in validator.service.stored.values()] == validator.promised


class RecordingFlash(NorFlash):
    """It keeps every state in which a power cut could have left it since `images` was cleared.

    Attributes:
        images: what the cells would hold.
    """

    def __init__(self, sectors: int, sector_bytes: int) -> None:
        super().__init__(sectors, sector_bytes)
        self.images: list[bytes] = []

    def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        place = block * self.sector_bytes + offset
        image = bytearray(self.data)
        for index, byte in enumerate(bytes(buffer)):
            self.images.append(bytes(image))
            image[place + index] &= byte
        super().writeblocks(block, buffer, offset)

    def _erase(self, place: int) -> None:
        self.images.append(bytes(self.data))
        for seed in range(4):
            half = NorFlash(SECTORS, self.sector_bytes, seed)
            half.data[:] = self.data
            half.cut_after_bytes = 0
            try:
                half.ioctl(6, place // self.sector_bytes)
            except PowerCut:
                self.images.append(bytes(half.data))
        super()._erase(place)


def test_every_single_cut_point_of_a_long_day() -> None:
    flash = RecordingFlash(SECTORS, SECTOR_BYTES)
    validator = Validator(flash, Service())
    cuts = 0
    for number in range(200):
        promised, chain = list(validator.promised), list(validator.chain)
        flash.images.clear()
        if number % 3 == 1:
            validator.sync(is_heard=number % 4 != 1)
        elif number % 7 == 6:
            validator.journal.erase_ahead()
        elif number % 3 == 0:
            validator.append(SIZES[number // 3 % 4] if number % 5 == 0 else 60)
        elif number % 50 == 2:
            validator.start()
        check(validator)
        for image in flash.images:
            cuts += 1
            torn = NorFlash(SECTORS, SECTOR_BYTES)
            torn.data[:] = image
            restarted = Validator(torn, validator.service)
            restarted.promised, restarted.chain = promised, chain
            check(restarted)
    assert cuts > 5_000


# Any rot.


def rot(flash: NorFlash, chance: int) -> None:
    """Flip one bit of what was programmed."""
    programmed = [index for index, byte in enumerate(flash.data) if byte != 0xFF]
    if programmed:
        flash.data[programmed[chance % len(programmed)]] ^= 1 << (chance >> 20) % 8


@settings(deadline=None, max_examples=200)
@given(st.lists(steps, max_size=60), st.integers(0, 2**32), st.lists(steps, max_size=30))
def test_rot_never_stops_the_sync_and_costs_no_more_than_what_it_hit(
    before: list[tuple[str, int]], chance: int, after: list[tuple[str, int]]
) -> None:
    validator = Validator(NorFlash(SECTORS, SECTOR_BYTES), Service())
    for step, argument in [*before, ("rot", chance), ("restart", 0), *after]:
        try:
            do(validator, step, argument)
        except PowerCut:
            validator.start()
    validator.flash.cut_after_bytes = None
    validator.sync_all()
    service = validator.service
    expected = 1
    lost = 0
    for sequence, (record, last) in sorted(service.stored.items()):
        assert sequence == expected, "no gap and no overlap"
        expected = last + 1
        lost += sequence > len(validator.promised) or record != validator.promised[sequence - 1]
    assert expected == validator.journal.next_sequence
    assert service.forks == 0
    assert lost <= 1, "one lost range at most"
