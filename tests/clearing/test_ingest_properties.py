"""However a journal is cut into batches, repeated, reordered and lost on the way, it ends up stored whole and once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clearing.ingest.run import judge, place_records
from protocol.ack import STATUS_DUP, STATUS_FORK, STATUS_GAP, STATUS_OK
from protocol.batch import genesis_head, next_head
from tests.builders import Device

_RECORDS = 12
_DEVICE = Device(seed=1)
_JOURNAL = [_DEVICE.record() for _ in range(_RECORDS)]
_HEADS = [genesis_head(_DEVICE.id, 1)]
for _record in _JOURNAL:
    _HEADS.append(next_head(_HEADS[-1], _record))

_spans = st.tuples(st.integers(0, _RECORDS), st.integers(0, _RECORDS)).map(sorted)


class _Stored:
    """What the service would have stored."""

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        self.sequence = 0
        self.head = _HEADS[0]

    def deliver(self, start: int, records: list[bytes], head_before: bytes) -> int:
        batch = _DEVICE.batch(records, start + 1, head_before)
        verdict = judge(place_records(batch), self.sequence, self.head, self.records)
        for placed in verdict.fresh:
            assert placed.sequence not in self.records
            self.records[placed.sequence] = placed.record
            self.sequence, self.head = placed.last, placed.head
        return verdict.status


@given(st.lists(_spans, max_size=12))
def test_any_delivery_of_true_parts_stores_a_true_beginning(spans: list[list[int]]) -> None:
    stored = _Stored()
    for start, end in spans:
        before = stored.sequence
        status = stored.deliver(start, _JOURNAL[start:end], _HEADS[start])
        if start > before:
            assert status == STATUS_GAP
        elif end > before:
            assert status == STATUS_OK
        else:
            assert status in {STATUS_OK, STATUS_DUP, STATUS_FORK}
            # Only a device that has forgotten what it sent says that its next record is one that is stored.
            assert status != STATUS_FORK or start == end
        assert stored.head == _HEADS[stored.sequence]
        assert list(stored.records.values()) == _JOURNAL[: stored.sequence]


@given(_spans, st.integers(0, _RECORDS - 1), st.binary(min_size=1, max_size=40))
def test_no_other_record_ever_takes_a_stored_place(span: list[int], place: int, forged: bytes) -> None:
    stored = _Stored()
    stored.deliver(0, _JOURNAL, _HEADS[0])
    start, end = span
    records = _JOURNAL[start:end]
    if start <= place < end and forged != _JOURNAL[place]:
        records[place - start] = forged
        assert stored.deliver(start, records, _HEADS[start]) == STATUS_FORK
    assert (stored.sequence, stored.head) == (_RECORDS, _HEADS[-1])
    assert list(stored.records.values()) == _JOURNAL
