"""Batches: their shape, their chain and their run of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.batch import Batch, check_run, decode_batch, encode_batch, genesis_head, next_head
from protocol.compat import sha256
from protocol.errors import BatchError
from protocol.limits import BATCH_RECORDS_MAX, RECORD_BYTES_MAX, SEQUENCE_MAX
from protocol.tap import KIND_LOST_RANGE, Tap, encode_tap
from tests.protocol.expect import refusal
from tests.vectors.wire_messages import DEVICE, EPOCH, NONCE, make_batch

if TYPE_CHECKING:
    from typing import Any


def _record(sequence: int, last: int | None = None) -> bytes:
    fields: dict[str, Any] = {"kind": 8}
    if last is not None:
        fields = {"kind": KIND_LOST_RANGE, "reference": [sequence, last]}
    return encode_tap(Tap(sequence=sequence, tapped_at_s=1000, clock_quality=3, uptime_ms=60, boot=1, **fields))


def _run(records: list[bytes], first_sequence: int = 1) -> Batch:
    batch = make_batch([])
    batch.first_sequence = first_sequence
    batch.records = records
    for record in records:
        batch.head_after = next_head(batch.head_after, record)
    return batch


def _refused(**changes: Any) -> str:  # noqa: ANN401
    fields = cbor.decode(encode_batch(make_batch(["boot", "intent"])))
    for key, value in changes.items():
        fields[int(key[1:])] = value
    return refusal(BatchError, decode_batch, cbor.encode(fields))


def test_everything_comes_back() -> None:
    before = make_batch(["boot", "intent", "outcome"])
    after = decode_batch(encode_batch(before))
    for name in Batch.__slots__:
        assert getattr(after, name) == getattr(before, name), name


def test_a_heartbeat_is_a_batch_of_no_records() -> None:
    heartbeat = decode_batch(encode_batch(make_batch([])))
    assert heartbeat.records == []
    assert heartbeat.flash is None
    assert heartbeat.head_after == heartbeat.head_before == genesis_head(DEVICE, EPOCH)
    assert check_run(heartbeat) == []


def test_the_chain_begins_with_device_and_epoch_and_goes_on_by_records() -> None:
    assert genesis_head(DEVICE, 258) == sha256(b"TAP-SYNC/1 genesis" + DEVICE + b"\x00\x00\x01\x02")
    assert next_head(bytes(32), b"record") == sha256(bytes(32) + b"record")
    assert genesis_head(DEVICE, 1) != genesis_head(DEVICE, 2)


def test_a_run_that_follows_on_has_no_faults() -> None:
    assert check_run(make_batch(["boot", "intent", "outcome", "cash", "refused", "test-tap", "lost-range"])) == []
    assert check_run(_run([_record(8), _record(9, 20), _record(21)], 8)) == []


def test_a_gap_a_repetition_and_a_wrong_start_are_faults() -> None:
    assert check_run(_run([_record(1), _record(3)])) == ["record 1 has sequence 3, not 2"]
    assert check_run(_run([_record(1), _record(1)])) == ["record 1 has sequence 1, not 2"]
    assert check_run(_run([_record(2)])) == ["record 0 has sequence 2, not 1"]
    assert check_run(_run([_record(1, 4), _record(2)])) == ["record 1 has sequence 2, not 5"]


def test_a_bad_record_takes_one_sequence_and_is_named() -> None:
    faults = check_run(_run([_record(1), b"\xff", _record(3)]))
    assert len(faults) == 1
    assert faults[0].startswith("record 1: ")


def test_a_head_that_the_records_do_not_lead_to_is_a_fault() -> None:
    batch = make_batch(["boot", "intent"])
    batch.head_after = bytes(32)
    assert check_run(batch) == ["the chain does not lead to the head that the batch names"]


def test_values_out_of_range_are_refused() -> None:
    assert _refused(k0=2)
    assert _refused(k0=True)
    assert _refused(k1=DEVICE[:-1])
    assert _refused(k2=1 << 32)
    assert _refused(k3=0)
    assert _refused(k3=SEQUENCE_MAX + 1)
    assert _refused(k4=1)
    assert _refused(k4=BATCH_RECORDS_MAX + 1)
    assert _refused(k5=bytes(31))
    assert _refused(k7={})
    assert _refused(k7=[b"", b"x"])
    assert _refused(k7=["a", "b"])
    assert _refused(k7=[bytes(RECORD_BYTES_MAX + 1), b"x"])
    assert _refused(k8=NONCE + b"\x00")
    assert _refused(k10=4)
    assert _refused(k12=[1, 2, 3])
    assert _refused(k12=[1, 2, 3, True])
    assert _refused(k13=bytes(31))
    assert _refused(k14=1)


def test_a_missing_key_is_refused() -> None:
    whole = cbor.decode(encode_batch(make_batch(["boot"])))
    for missing in range(12):
        rest = {key: value for key, value in whole.items() if key != missing}
        assert refusal(BatchError, decode_batch, cbor.encode(rest))


def test_as_many_records_as_a_validator_sends_at_once_are_read() -> None:
    batch = _run([_record(sequence) for sequence in range(1, 49)])
    assert len(decode_batch(encode_batch(batch)).records) == 48
    assert check_run(batch) == []
