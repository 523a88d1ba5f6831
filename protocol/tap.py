"""One record of the validator's journal (SPEC.md "Record"): most are taps, the others keep the chain honest.

A record is encoded once, when it is journalled, and travels as that byte string: nobody encodes it again. The key of a tap
everywhere, from flash to ledger, is (device, epoch, sequence).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cbor import is_integer
from protocol.compat import const
from protocol.errors import CborError, LocalProtocolError, TapError
from protocol.limits import RECORD_BYTES_MAX, SEQUENCE_MAX

if TYPE_CHECKING:
    from typing import Any

RECORD_VERSION = const(1)

KIND_SINGLE = const(1)
KIND_ON = const(2)
KIND_OFF = const(3)
KIND_REFUSED = const(4)
KIND_INSPECTION = const(5)
KIND_TOP_UP = const(6)
KIND_INTENT = const(7)
KIND_BOOT = const(8)
KIND_CLOCK_STEP = const(9)
KIND_CHANGE = const(10)
KIND_LOST_RANGE = const(11)
KIND_FAULT = const(12)
KIND_ACQUIRER_BLOB = const(13)
KIND_TAMPER = const(14)
KIND_OUTCOME = const(15)

MEDIUM_TRANSPORT_CARD = const(1)
MEDIUM_BANK_CARD = const(2)
MEDIUM_PHONE_NFC = const(3)
MEDIUM_QR_TICKET = const(4)
MEDIUM_QR_SCREEN = const(5)
MEDIUM_CASH = const(6)
MEDIUM_OTHER = const(7)

PRODUCT_SINGLE = const(1)
PRODUCT_TRANSFER = const(2)
PRODUCT_QUOTA = const(3)
PRODUCT_FREE_DAY = const(4)
PRODUCT_FAULT = const(5)
# With so many riders added: one medium pays for a group.
PRODUCT_GROUP = const(10)
# From here on they are the passes of the city's tariff.
PRODUCT_PASSES = const(100)

CLOCK_UNKNOWN = const(0)
CLOCK_HOLDOVER = const(1)
CLOCK_INFORMATIVE = const(2)
CLOCK_SYNCHRONISED = const(3)

_U16_MAX = const(0xFFFF)
_U32_MAX = const(0xFFFFFFFF)
_U63_MAX = 0x7FFFFFFFFFFFFFFF

# Attribute, key, least and greatest value: what is a plain integer in a record.
_INTEGERS = (
    ("sequence", 1, 1, SEQUENCE_MAX),
    ("tapped_at_s", 2, 0, _U32_MAX),
    ("clock_quality", 3, 0, 3),
    ("uptime_ms", 4, 0, _U63_MAX),
    ("boot", 5, 0, _U32_MAX),
    ("kind", 6, 1, 15),
    ("medium", 7, 1, 7),
    ("counter", 9, 0, _U32_MAX),
    ("product", 11, 0, _U16_MAX),
    ("fare_minor", 12, -_U63_MAX, _U63_MAX),
    ("category", 13, 0, _U16_MAX),
    ("line", 14, 0, _U16_MAX),
    ("trip", 15, 0, _U32_MAX),
    ("stop", 16, 0, _U32_MAX),
    ("decision", 18, 0, _U16_MAX),
    ("balance_minor", 19, -_U63_MAX, _U63_MAX),
    ("shift", 20, 0, _U32_MAX),
)
_REQUIRED_KEYS = (0, 1, 2, 3, 4, 5, 6)
_TOKEN = const(8)
_EVIDENCE = const(10)
_POSITION = const(17)
_VERSIONS = const(21)
_REFERENCE = const(22)
_EXTENSIONS = const(23)
_EVIDENCE_BYTES_MAX = const(400)


class Tap:
    """One journal record.

    Attributes:
        sequence: counts every record of an epoch, from 1; 40 bits.
        tapped_at_s: device clock, unix seconds.
        clock_quality: 0 unknown, 1 holdover, 2 informative, 3 synchronised.
        uptime_ms: milliseconds since boot.
        boot: how often the device has started.
        kind: one of `KIND_…`.
        medium: one of `MEDIUM_…`; absent in records that are no taps.
        token_key_version, token: keyed token of the medium, 16 bytes; absent for cash.
        counter: the card's own counter (transaction-MAC counter, ATC, step of a code).
        evidence: transaction MAC or code, 4 bytes and more; in an acquirer's blob record, the blob.
        product: what was sold, 16 bits.
        fare_minor: charged, tiyn.
        category: rider category charged.
        line, trip, stop: where.
        position: latitude and longitude, 1e-5 degree.
        decision: one of `DECISION_…`.
        balance_minor: purse after the tap, tiyn.
        shift: the driver's pseudonym.
        fare_table, deny_list: versions that decided.
        reference: kinds 13 and 15: sequence of the record meant; kind 11: [first, last] lost; kinds 1-4: True for a test tap.
        extensions: map for later versions.
    """

    __slots__ = (
        "balance_minor",
        "boot",
        "category",
        "clock_quality",
        "counter",
        "decision",
        "deny_list",
        "evidence",
        "extensions",
        "fare_minor",
        "fare_table",
        "kind",
        "line",
        "medium",
        "position",
        "product",
        "reference",
        "sequence",
        "shift",
        "stop",
        "tapped_at_s",
        "token",
        "token_key_version",
        "trip",
        "uptime_ms",
    )

    def __init__(
        self,
        *,
        sequence: int,
        tapped_at_s: int,
        clock_quality: int,
        uptime_ms: int,
        boot: int,
        kind: int,
        medium: int | None = None,
        token_key_version: int | None = None,
        token: bytes | None = None,
        counter: int | None = None,
        evidence: bytes | None = None,
        product: int | None = None,
        fare_minor: int | None = None,
        category: int | None = None,
        line: int | None = None,
        trip: int | None = None,
        stop: int | None = None,
        position: list[int] | None = None,
        decision: int | None = None,
        balance_minor: int | None = None,
        shift: int | None = None,
        fare_table: int | None = None,
        deny_list: int | None = None,
        reference: int | list[int] | bool | None = None,
        extensions: dict[int, Any] | None = None,
    ) -> None:
        self.sequence = sequence
        self.tapped_at_s = tapped_at_s
        self.clock_quality = clock_quality
        self.uptime_ms = uptime_ms
        self.boot = boot
        self.kind = kind
        self.medium = medium
        self.token_key_version = token_key_version
        self.token = token
        self.counter = counter
        self.evidence = evidence
        self.product = product
        self.fare_minor = fare_minor
        self.category = category
        self.line = line
        self.trip = trip
        self.stop = stop
        self.position = position
        self.decision = decision
        self.balance_minor = balance_minor
        self.shift = shift
        self.fare_table = fare_table
        self.deny_list = deny_list
        self.reference = reference
        self.extensions = extensions


def encode_tap(tap: Tap) -> bytes:
    """Return the record's bytes, at most RECORD_BYTES_MAX.

    Raises:
        LocalProtocolError: a field is out of its range.
    """
    fields: dict[int, Any] = {0: RECORD_VERSION}
    fault = ""
    for name, key, least, greatest in _INTEGERS:
        value = getattr(tap, name)
        if value is not None:
            fields[key] = value
            if type(value) is not int or not least <= value <= greatest:
                fault = name + " is out of range"
    if tap.token is not None:
        fields[_TOKEN] = [tap.token_key_version, tap.token]
    if tap.fare_table is not None:
        fields[_VERSIONS] = [tap.fare_table, tap.deny_list or 0]
    for key, value in (
        (_EVIDENCE, tap.evidence),
        (_POSITION, tap.position),
        (_REFERENCE, tap.reference),
        (_EXTENSIONS, tap.extensions),
    ):
        if value is not None:
            fields[key] = value
    fault = fault or _fault_in_structures(fields)
    if fault:
        raise LocalProtocolError("record: " + fault)
    record = cbor.encode(fields)
    if len(record) > RECORD_BYTES_MAX:
        raise LocalProtocolError("a record does not fit into four slots")
    return record


def decode_tap(record: bytes) -> Tap:
    """Return the record of which these are the bytes.

    Raises:
        TapError: they are not a record of this version.
    """
    if len(record) > RECORD_BYTES_MAX:
        raise TapError("longer than a record may be")
    try:
        fields = cbor.decode(record)
    except CborError as error:
        raise TapError("not deterministic CBOR: " + str(error)) from None
    fault = _fault_in(fields)
    if fault:
        raise TapError(fault)
    values = {name: fields.get(key) for name, key, _, _ in _INTEGERS}
    token_key_version, token = fields.get(_TOKEN, (None, None))
    fare_table, deny_list = fields.get(_VERSIONS, (None, None))
    return Tap(
        token_key_version=token_key_version,
        token=token,
        evidence=fields.get(_EVIDENCE),
        position=fields.get(_POSITION),
        fare_table=fare_table,
        deny_list=deny_list,
        reference=fields.get(_REFERENCE),
        extensions=fields.get(_EXTENSIONS),
        **values,
    )


def _fault_in(fields: Any) -> str:  # noqa: ANN401 - whatever was decoded
    """Say what is wrong with a record's fields, or nothing."""
    if not isinstance(fields, dict):
        return "a record is a map"
    for key in _REQUIRED_KEYS:
        if key not in fields:
            return "key " + str(key) + " is missing"
    if not is_integer(fields[0], RECORD_VERSION, RECORD_VERSION):
        return "not record version 1"
    for name, key, least, greatest in _INTEGERS:
        value = fields.get(key, least)
        # As `is_integer` has it, without a call for each of so many.
        if value is True or value is False or not isinstance(value, int) or not least <= value <= greatest:
            return name + " is out of range"
    for key in fields:
        if not 0 <= key <= _EXTENSIONS:
            return "key " + str(key) + " is not of this version"
    return _fault_in_structures(fields)


def _fault_in_structures(fields: dict[int, Any]) -> str:
    token = fields.get(_TOKEN)
    if _TOKEN in fields and not (
        isinstance(token, list)
        and len(token) == 2
        and is_integer(token[0], 0, _U16_MAX)
        and isinstance(token[1], bytes)
        and len(token[1]) == 16
    ):
        return "a token is [key version, 16 bytes]"
    evidence = fields.get(_EVIDENCE)
    if _EVIDENCE in fields and not (isinstance(evidence, bytes) and 4 <= len(evidence) <= _EVIDENCE_BYTES_MAX):
        return "evidence has 4 bytes and more"
    if _POSITION in fields and not _is_pair(fields[_POSITION], -18_000_000, 18_000_000):
        return "a position is [latitude, longitude]"
    if _VERSIONS in fields and not _is_pair(fields[_VERSIONS], 0, _U32_MAX):
        return "versions are [fare table, deny list]"
    if _EXTENSIONS in fields and not isinstance(fields[_EXTENSIONS], dict):
        return "extensions are a map"
    return _fault_in_reference(fields[6], fields[1], fields.get(_REFERENCE))


def _is_pair(value: object, least: int, greatest: int) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(is_integer(item, least, greatest) for item in value)


def _fault_in_reference(kind: int, sequence: int, reference: object) -> str:
    if kind == KIND_LOST_RANGE:
        if not (
            isinstance(reference, list) and _is_pair(reference, sequence, SEQUENCE_MAX) and reference[0] == sequence
        ):
            return "a lost range names its first sequence, which is its own, and its last"
    elif kind in {KIND_ACQUIRER_BLOB, KIND_OUTCOME}:
        if not is_integer(reference, 1, SEQUENCE_MAX):
            return "the record meant is named by its sequence"
    elif reference is not None and not isinstance(reference, bool):
        return "only blobs, outcomes and lost ranges refer to other records"
    return ""


def last_sequence(tap: Tap) -> int:
    """Return the last sequence that a record stands for: its own, or the end of a lost range."""
    if tap.kind == KIND_LOST_RANGE and isinstance(tap.reference, list):
        return tap.reference[1]
    return tap.sequence
