"""The signed answer to a batch: what is durably stored, and what the device should do next (SPEC.md "Ack").

The device frees flash only on a verified ack whose head equals its own. `ErrorAnswer` is the unsigned answer to what could not
be attributed to a device: a hint to back off, never a reason to change state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cbor import is_integer
from protocol.compat import const
from protocol.errors import AckError, CborError
from protocol.limits import BATCH_RECORDS_MAX, SEQUENCE_MAX

if TYPE_CHECKING:
    from typing import Any

ACK_VERSION = const(1)

STATUS_OK = const(0)
STATUS_DUP = const(1)
STATUS_OK_FLAGGED = const(2)
STATUS_GAP = const(3)
STATUS_FORK = const(4)
STATUS_EPOCH = const(5)
STATUS_BAD_COSE = const(6)
STATUS_BAD_SIG = const(7)
STATUS_KID_UNKNOWN = const(8)
STATUS_REVOKED = const(9)
STATUS_KEY_EXPIRED = const(10)
STATUS_WRONG_AUDIENCE = const(11)
STATUS_BAD_CBOR = const(12)
STATUS_TOO_LARGE = const(13)
STATUS_CLOCK_SUSPECT = const(14)
STATUS_BUSY = const(15)
STATUS_RATE = const(16)
STATUS_MAINTENANCE = const(17)
STATUS_UPGRADE = const(18)

WANTED_FARE_TABLE = const(0)
WANTED_DENY_LIST = const(1)
WANTED_BUNDLE = const(2)
WANTED_KEY_SET = const(3)
WANTED_CA_KEYS = const(4)
WANTED_TOP_UPS = const(5)
WANTED_ALLOW_LIST = const(6)
WANTED_KEY_BUNDLE = const(7)
WANTED_NEXT_FARE_TABLE = const(8)

_U16_MAX = const(0xFFFF)
_U32_MAX = const(0xFFFFFFFF)
_WANTED_MAX = const(23)

# Key, least and greatest value: what is a plain integer in an ack.
_ACK_INTEGERS = (
    (0, 1, 1),
    (2, 0, _U32_MAX),
    (3, 0, SEQUENCE_MAX),
    (6, 0, _U32_MAX),
    (7, 0, 999),
    (8, 0, _U16_MAX),
    (9, 0, _U32_MAX),
    (10, 1, BATCH_RECORDS_MAX),
)


class Ack:
    """The signed promise that a device's records are stored.

    Attributes:
        device, epoch: whose.
        sequence: cumulative: every record up to it is durable; 0 for none.
        head: the hash chain there, 32 bytes.
        nonce: of the batch that is answered.
        server_time_s, server_time_ms: the service's clock, and its millisecond part.
        status: one of `STATUS_…`.
        retry_after_s: do not come back sooner; absent for as you like.
        records_max: most records wanted in a batch.
        wanted: versions that the device should have, by `WANTED_…`.
    """

    __slots__ = (
        "device",
        "epoch",
        "head",
        "nonce",
        "records_max",
        "retry_after_s",
        "sequence",
        "server_time_ms",
        "server_time_s",
        "status",
        "wanted",
    )

    def __init__(
        self,
        *,
        device: bytes,
        epoch: int,
        sequence: int,
        head: bytes,
        nonce: bytes,
        server_time_s: int,
        server_time_ms: int,
        status: int,
        retry_after_s: int | None = None,
        records_max: int | None = None,
        wanted: dict[int, int] | None = None,
    ) -> None:
        self.device = device
        self.epoch = epoch
        self.sequence = sequence
        self.head = head
        self.nonce = nonce
        self.server_time_s = server_time_s
        self.server_time_ms = server_time_ms
        self.status = status
        self.retry_after_s = retry_after_s
        self.records_max = records_max
        self.wanted = wanted


def encode_ack(ack: Ack) -> bytes:
    fields: dict[int, Any] = {
        0: ACK_VERSION,
        1: ack.device,
        2: ack.epoch,
        3: ack.sequence,
        4: ack.head,
        5: ack.nonce,
        6: ack.server_time_s,
        7: ack.server_time_ms,
        8: ack.status,
    }
    for key, value in ((9, ack.retry_after_s), (10, ack.records_max), (11, ack.wanted)):
        if value is not None:
            fields[key] = value
    return cbor.encode(fields)


def decode_ack(payload: bytes) -> Ack:
    """Return the ack.

    Raises:
        AckError: the payload has not the shape of one.
    """
    fields = _decoded(payload)
    if not set(range(9)) <= set(fields) <= set(range(12)):
        raise AckError("an ack has the keys 0 to 8, and 9 to 11 where wanted")
    for key, size in ((1, 16), (4, 32), (5, 8)):
        if not (isinstance(fields[key], bytes) and len(fields[key]) == size):
            raise AckError("key " + str(key) + " has " + str(size) + " bytes")
    for key, least, greatest in _ACK_INTEGERS:
        _require_integer(fields, key, least, greatest)
    wanted = fields.get(11)
    if 11 in fields:
        if not isinstance(wanted, dict) or [key for key in wanted if not 0 <= key <= _WANTED_MAX]:
            raise AckError("wanted versions are a map with keys from 0 to 23")
        for key in wanted:
            _require_integer(wanted, key, 0, _U32_MAX)
    return Ack(
        device=fields[1],
        epoch=fields[2],
        sequence=fields[3],
        head=fields[4],
        nonce=fields[5],
        server_time_s=fields[6],
        server_time_ms=fields[7],
        status=fields[8],
        retry_after_s=fields.get(9),
        records_max=fields.get(10),
        wanted=wanted,
    )


class ErrorAnswer:
    """The unsigned answer to what could not be attributed to a device.

    Attributes:
        status: one of `STATUS_…`.
        retry_after_s: do not come back sooner; absent for as you like.
    """

    __slots__ = ("retry_after_s", "status")

    def __init__(self, status: int, retry_after_s: int | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s


def encode_error(error: ErrorAnswer) -> bytes:
    fields = {0: ACK_VERSION, 8: error.status}
    if error.retry_after_s is not None:
        fields[9] = error.retry_after_s
    return cbor.encode(fields)


def decode_error(payload: bytes) -> ErrorAnswer:
    """Return the error answer.

    Raises:
        AckError: the payload has not the shape of one.
    """
    fields = _decoded(payload)
    if not {0, 8} <= set(fields) <= {0, 8, 9}:
        raise AckError("an error answer has the keys 0, 8, and 9 where wanted")
    for key, least, greatest in ((0, 1, 1), (8, 0, _U16_MAX), (9, 0, _U32_MAX)):
        _require_integer(fields, key, least, greatest)
    return ErrorAnswer(fields[8], fields.get(9))


def _decoded(payload: bytes) -> dict[int, Any]:
    try:
        fields = cbor.decode(payload)
    except CborError as error:
        raise AckError("not deterministic CBOR: " + str(error)) from None
    if not isinstance(fields, dict):
        raise AckError("an answer is a map")
    return fields


def _require_integer(fields: dict[int, Any], key: int, least: int, greatest: int) -> None:
    if key in fields and not is_integer(fields[key], least, greatest):
        raise AckError("key " + str(key) + " is out of range")
