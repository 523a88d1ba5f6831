"""Where each record of a batch belongs in its validator's chain, and whether it joins what is stored. Pure.

A record that cannot be read takes the place where it stands, so that it never blocks the chain; a record that can be read
and names another place does not belong there: a later place is a gap, an earlier one a fork.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from protocol.ack import STATUS_DUP, STATUS_FORK, STATUS_GAP, STATUS_OK
from protocol.batch import Batch, next_head
from protocol.errors import TapError
from protocol.tap import Tap, decode_tap, last_sequence


@dataclass(frozen=True)
class Placed:
    """A record and its place.

    Attributes:
        sequence, last: first and last sequence that it stands for; they differ for a lost range only.
        tap: absent when the record cannot be read; `fault` says why.
        head: the chain head after it.
    """

    sequence: int
    last: int
    record: bytes
    tap: Tap | None
    fault: str
    head: bytes


@dataclass(frozen=True)
class Run:
    """The records of a batch in their places.

    Attributes:
        status: OK, or GAP or FORK where the batch contradicts itself.
    """

    batch: Batch
    placed: Sequence[Placed]
    status: int


@dataclass(frozen=True)
class Verdict:
    """What becomes of a batch.

    Attributes:
        status: OK, DUP, GAP or FORK.
        fresh: records to store, when it is OK.
        strays: records that claim a place in the chain which is not theirs, when it is FORK.
    """

    status: int
    fresh: Sequence[Placed] = ()
    strays: Sequence[Placed] = ()


def place_records(batch: Batch) -> Run:
    """Decode the records of a batch and give each its place."""
    placed: list[Placed] = []
    status = STATUS_OK
    expected, head = batch.first_sequence, batch.head_before
    for record in batch.records:
        head = next_head(head, record)
        sequence = last = expected
        tap, fault = _read(record)
        if tap is not None:
            if tap.sequence != expected and status == STATUS_OK:
                status = STATUS_GAP if tap.sequence > expected else STATUS_FORK
            sequence, last = tap.sequence, max(tap.sequence, last_sequence(tap))
        placed.append(Placed(sequence, last, record, tap, fault, head))
        expected = last + 1
    if status == STATUS_OK and head != batch.head_after:
        status = STATUS_FORK
    return Run(batch, placed, status)


# Validators repeat what was not acknowledged, and a network repeats what was.
@lru_cache(maxsize=1024)
def _read(record: bytes) -> tuple[Tap | None, str]:
    try:
        return decode_tap(record), ""
    except TapError as error:
        return None, str(error)


def judge(run: Run, acked_sequence: int, head: bytes, stored: Mapping[int, bytes]) -> Verdict:
    """Decide what becomes of a batch.

    The chain is stored up to `acked_sequence`, where its head is `head`; `stored` holds the stored records from the
    batch's first sequence on, by sequence.
    """
    if run.batch.first_sequence > acked_sequence + 1 or run.status == STATUS_GAP:
        return Verdict(STATUS_GAP)
    if not run.placed:
        # A sign of life, perhaps an old one that comes late: it says nothing about any record.
        return Verdict(STATUS_OK)
    known = [each for each in run.placed if each.sequence <= acked_sequence]
    fresh = [each for each in run.placed if each.sequence > acked_sequence]
    differing = [each for each in known if stored.get(each.sequence) != each.record]
    if run.status == STATUS_FORK or differing or not _joins(run.batch, known, fresh, acked_sequence, head):
        return Verdict(STATUS_FORK, strays=[*differing, *fresh])
    return Verdict(STATUS_DUP if known and not fresh else STATUS_OK, fresh=fresh)


def _joins(batch: Batch, known: Sequence[Placed], fresh: Sequence[Placed], acked_sequence: int, head: bytes) -> bool:
    """Whether the chain that the batch claims passes through the stored head."""
    if not known:
        return batch.head_before == head
    if known[-1].last == acked_sequence:
        return known[-1].head == head
    # A repetition that ends before the stored head says nothing about it; fresh records after a hole would.
    return not fresh
