"""A batch: a run of journal records, chained by hash, that a validator signs and sends (SPEC.md "Batch")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cbor import is_integer
from protocol.compat import const, sha256
from protocol.errors import BatchError, CborError, TapError
from protocol.limits import BATCH_RECORDS_MAX, RECORD_BYTES_MAX, SEQUENCE_MAX
from protocol.tap import decode_tap, last_sequence

if TYPE_CHECKING:
    from typing import Any

BATCH_VERSION = const(1)
DEVICE_BYTES = const(16)
HEAD_BYTES = const(32)
NONCE_BYTES = const(8)
_U32_MAX = const(0xFFFFFFFF)


class Batch:
    """A run of records.

    Attributes:
        device: 16 bytes.
        epoch: counts the lives of the device's journal.
        first_sequence: of the first record; with no records, of the next one to come.
        records: their bytes as journalled, at most 256.
        head_before, head_after: the hash chain before the first and after the last record, 32 bytes.
        nonce: 8 random bytes that the ack must echo.
        device_time_s, clock_quality: the device's clock when it signed.
        firmware: number of the firmware bundle.
        flash: (slots free, oldest sequence kept, torn slots, power cuts since the last ack), or absent.
    """

    __slots__ = (
        "clock_quality",
        "device",
        "device_time_s",
        "epoch",
        "firmware",
        "first_sequence",
        "flash",
        "head_after",
        "head_before",
        "nonce",
        "records",
    )

    def __init__(
        self,
        *,
        device: bytes,
        epoch: int,
        first_sequence: int,
        records: list[bytes],
        head_before: bytes,
        head_after: bytes,
        nonce: bytes,
        device_time_s: int,
        clock_quality: int,
        firmware: int,
        flash: tuple[int, int, int, int] | None = None,
    ) -> None:
        self.device = device
        self.epoch = epoch
        self.first_sequence = first_sequence
        self.records = records
        self.head_before = head_before
        self.head_after = head_after
        self.nonce = nonce
        self.device_time_s = device_time_s
        self.clock_quality = clock_quality
        self.firmware = firmware
        self.flash = flash


def genesis_head(device: bytes, epoch: int) -> bytes:
    """Return the chain head before the first record of an epoch."""
    return sha256(b"TAP-SYNC/1 genesis" + device + epoch.to_bytes(4, "big"))


def next_head(head: bytes, record: bytes) -> bytes:
    """Return the chain head after one more record."""
    return sha256(head + record)


def encode_batch_parts(batch: Batch) -> list[bytes]:
    """Return the encoding in pieces, so that who has little memory can hash and send the records without copying them."""
    before: dict[int, Any] = {
        0: BATCH_VERSION,
        1: batch.device,
        2: batch.epoch,
        3: batch.first_sequence,
        4: len(batch.records),
        5: batch.head_before,
        6: batch.head_after,
    }
    after: dict[int, Any] = {
        8: batch.nonce,
        9: batch.device_time_s,
        10: batch.clock_quality,
        11: batch.firmware,
    }
    if batch.flash is not None:
        after[12] = list(batch.flash)
    parts = [cbor.map_head(len(before) + 1 + len(after)), cbor.encode_items(before), cbor.encode(7)]
    parts.append(cbor.array_head(len(batch.records)))
    for record in batch.records:
        parts.append(cbor.byte_string_head(len(record)))
        parts.append(record)
    parts.append(cbor.encode_items(after))
    return parts


def encode_batch(batch: Batch) -> bytes:
    return b"".join(encode_batch_parts(batch))


def decode_batch(payload: bytes) -> Batch:
    """Return the batch; its records are not looked into (`check_run` does).

    Raises:
        BatchError: the payload has not the shape of a batch.
    """
    try:
        fields = cbor.decode(payload)
    except CborError as error:
        raise BatchError("not deterministic CBOR: " + str(error)) from None
    fault = _fault_in(fields)
    if fault:
        raise BatchError(fault)
    flash = fields.get(12)
    return Batch(
        device=fields[1],
        epoch=fields[2],
        first_sequence=fields[3],
        records=fields[7],
        head_before=fields[5],
        head_after=fields[6],
        nonce=fields[8],
        device_time_s=fields[9],
        clock_quality=fields[10],
        firmware=fields[11],
        flash=(flash[0], flash[1], flash[2], flash[3]) if flash else None,
    )


def _fault_in(fields: Any) -> str:  # noqa: ANN401 - whatever was decoded
    if not isinstance(fields, dict) or not set(range(12)) <= set(fields) <= set(range(14)):
        return "a batch has the keys 0 to 11, and 12 and 13 where wanted"
    if not is_integer(fields[0], BATCH_VERSION, BATCH_VERSION):
        return "not batch version 1"
    for key, size in ((1, DEVICE_BYTES), (5, HEAD_BYTES), (6, HEAD_BYTES), (8, NONCE_BYTES), (13, HEAD_BYTES)):
        if key in fields and not (isinstance(fields[key], bytes) and len(fields[key]) == size):
            return "key " + str(key) + " has " + str(size) + " bytes"
    for key, greatest in (
        (2, _U32_MAX),
        (3, SEQUENCE_MAX),
        (4, BATCH_RECORDS_MAX),
        (9, _U32_MAX),
        (10, 3),
        (11, _U32_MAX),
    ):
        if not is_integer(fields[key], 0, greatest):
            return "key " + str(key) + " is out of range"
    records = fields[7]
    if fields[3] == 0 or not isinstance(records, list) or len(records) != fields[4]:
        return "the records are not as many as announced"
    for record in records:
        if not isinstance(record, bytes) or not 0 < len(record) <= RECORD_BYTES_MAX:
            return "a record is a byte string of at most " + str(RECORD_BYTES_MAX)
    flash = fields.get(12)
    if 12 in fields and not (
        isinstance(flash, list) and len(flash) == 4 and all(is_integer(item, 0, SEQUENCE_MAX) for item in flash)
    ):
        return "key 12 is four numbers"
    return ""


def check_run(batch: Batch) -> list[str]:
    """Return what is wrong with the run of records: nothing, when the chain holds and the sequences follow on."""
    faults = []
    head = batch.head_before
    for record in batch.records:
        head = next_head(head, record)
    if head != batch.head_after:
        faults.append("the chain does not lead to the head that the batch names")
    expected: int | None = batch.first_sequence
    for index, record in enumerate(batch.records):
        try:
            tap = decode_tap(record)
        except TapError as error:
            # A bad record must not block the chain: it takes one sequence, and becomes an exception when it is stored.
            faults.append("record " + str(index) + ": " + str(error))
            expected = None if expected is None else expected + 1
            continue
        if expected is not None and tap.sequence != expected:
            faults.append("record " + str(index) + " has sequence " + str(tap.sequence) + ", not " + str(expected))
        expected = last_sequence(tap) + 1
    return faults
