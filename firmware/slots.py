"""The journal's format on flash, version 2: sector headers and slots (protocol/SPEC.md "Journal"). Pure bytes in and out.

A sector of 4 KiB holds 32 slots of 128 bytes. Slot 0 is its header, the others hold records of one to four slots. Programming
clears bits and never sets one, so every structure is programmed once and carries a CRC-32 (was it torn?) and a truncated
HMAC (was it changed?). Half of a record's MAC is over itself, so that it is known behind a hole, too; the other half is over
that and the record before. Version 1 had the latter alone; its sectors are read, and no longer written. Numbers are big-endian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const, crc32, hmac_sha256, sha256

if TYPE_CHECKING:
    Bytes = bytes | bytearray | memoryview

SLOT_BYTES = const(128)
RECORD_SLOTS_MAX = const(4)
MAC_BYTES = const(8)
_OWN_MAC_BYTES = const(4)
_FRAME_BYTES = const(20)
_TRAILER_BYTES = const(12)
_MARKER = const(0xE0)
_PREFIX_BYTES = const(8)

FORMAT = const(2)
FORMAT_CHAINED_ONLY = const(1)
HEADER_REBASED = const(1)
_HEADER_SIGNED_BYTES = const(80)
_MAGIC = b"JQJ1"
_BLANK = const(0xFF)


class SectorHeader:
    """What the first slot of a sector says.

    Attributes:
        flags: `HEADER_REBASED` when the chain starts anew here after a hole.
        epoch: of the device.
        number: counts opened sectors, never used twice.
        first_sequence: of the first record in the sector.
        head_before: wire chain before it, 32 bytes.
        mac_before: MAC of the record before it, 8 bytes.
        acked_sequence: acknowledged when the sector was opened: a hint.
        version: of the format, in which the records are, too.
    """

    __slots__ = ("acked_sequence", "epoch", "first_sequence", "flags", "head_before", "mac_before", "number", "version")

    def __init__(
        self,
        flags: int,
        epoch: int,
        number: int,
        first_sequence: int,
        head_before: bytes,
        mac_before: bytes,
        acked_sequence: int,
        version: int = FORMAT,
    ) -> None:
        self.flags = flags
        self.epoch = epoch
        self.number = number
        self.first_sequence = first_sequence
        self.head_before = head_before
        self.mac_before = mac_before
        self.acked_sequence = acked_sequence
        self.version = version


def encode_header(header: SectorHeader, key: bytes) -> bytes:
    """Return the header's slot, 128 bytes."""
    signed = (
        _MAGIC
        + bytes((header.flags, header.version, _BLANK, _BLANK))
        + header.epoch.to_bytes(4, "big")
        + header.number.to_bytes(4, "big")
        + header.first_sequence.to_bytes(8, "big")
        + header.head_before
        + header.mac_before
        + header.acked_sequence.to_bytes(8, "big")
        + b"\xff" * 8
    )
    body = signed + hmac_sha256(key, signed)[:MAC_BYTES]
    body += b"\xff" * (SLOT_BYTES - 4 - len(body))
    return body + crc32(body).to_bytes(4, "big")


def is_header(slot: Bytes) -> bool:
    """Return whether a header stands there whole, whoever wrote it."""
    return bytes(slot[:4]) == _MAGIC and FORMAT_CHAINED_ONLY <= slot[5] <= FORMAT and crc_holds(slot)


def decode_header(slot: Bytes, key: bytes) -> SectorHeader | None:
    """Return a whole header that was written with this key, or None."""
    signed = bytes(slot[:_HEADER_SIGNED_BYTES])
    mac = bytes(slot[_HEADER_SIGNED_BYTES : _HEADER_SIGNED_BYTES + MAC_BYTES])
    if not is_header(slot) or hmac_sha256(key, signed)[:MAC_BYTES] != mac:
        return None
    return read_header(signed)


def read_header(signed: Bytes) -> SectorHeader:
    """Return what a header says, whoever wrote it."""
    signed = bytes(signed)
    return SectorHeader(
        signed[4],
        int.from_bytes(signed[8:12], "big"),
        int.from_bytes(signed[12:16], "big"),
        int.from_bytes(signed[16:24], "big"),
        signed[24:56],
        signed[56:64],
        int.from_bytes(signed[64:72], "big"),
        signed[5],
    )


def slots_for(payload_bytes: int) -> int:
    """Return how many slots a record takes: capacities are 108, 236, 364 and 492 bytes."""
    return (payload_bytes + _FRAME_BYTES + SLOT_BYTES - 1) // SLOT_BYTES


def record_key(key: bytes, epoch: int) -> bytes:
    """Return the key for the records of an epoch, so that none of another can stand among them."""
    return hmac_sha256(key, b"JQJ2" + epoch.to_bytes(4, "big"))


def encode_record(sequence: int, payload: bytes, mac_before: bytes, key: bytes) -> bytes:
    """Return a record's slots; the key is that of its epoch."""
    count, size = slots_for(len(payload)), len(payload)
    slots = bytearray(b"\xff" * (count * SLOT_BYTES))
    slots[0], slots[1], slots[2] = _MARKER | count, size >> 8, size & 0xFF
    slots[3:_PREFIX_BYTES] = sequence.to_bytes(5, "big")
    slots[_PREFIX_BYTES : _PREFIX_BYTES + size] = payload
    whole = memoryview(slots)
    slots[-_TRAILER_BYTES:-4] = record_mac(whole[:-_TRAILER_BYTES], mac_before, key)
    slots[-4:] = crc32(whole[:-4]).to_bytes(4, "big")
    return bytes(slots)


def record_mac(body: Bytes, mac_before: bytes, key: bytes) -> bytes:
    """Return 4 bytes over a record itself, and 4 over what nobody else knows of that and the record before."""
    own = hmac_sha256(key, body)
    return own[:_OWN_MAC_BYTES] + sha256(own[_OWN_MAC_BYTES:] + mac_before)[: MAC_BYTES - _OWN_MAC_BYTES]


def record_slots(slot: Bytes) -> int:
    """Return how many slots the record that begins here takes; 0 when none does."""
    count = slot[0] & 0x1F
    return count if slot[0] & 0xE0 == _MARKER and 1 <= count <= RECORD_SLOTS_MAX else 0


def decode_record(slots: Bytes) -> tuple[int, bytes] | None:
    """Return sequence and payload of a record that stands there whole, or None."""
    return read_record(slots) if crc_holds(slots) else None


def read_record(slots: Bytes) -> tuple[int, bytes] | None:
    """Return what a record says whose CRC or MAC is still to be checked, or None if it has no room for its payload."""
    size = int.from_bytes(slots[1:3], "big")
    if size + _FRAME_BYTES > len(slots):
        return None
    return int.from_bytes(slots[3:_PREFIX_BYTES], "big"), bytes(slots[_PREFIX_BYTES : _PREFIX_BYTES + size])


def counts_of(slot: Bytes) -> tuple[int, int]:
    """Return how many slots the record that begins here takes, by its first byte and by its size; 0 when that cannot be."""
    by_size = slots_for(int.from_bytes(slot[1:3], "big"))
    return record_slots(slot), by_size if by_size <= RECORD_SLOTS_MAX else 0


def mark(slots: bytearray | memoryview, count: int) -> None:
    """Write the first byte of a record of so many slots."""
    slots[0] = _MARKER | count


def is_torn(slots: Bytes) -> bool:
    """Return whether a record was not programmed to its end: its CRC is blank, or begins rightly and is blank from there."""
    crc = crc32(slots[:-4]).to_bytes(4, "big")
    return bytes(slots[-4:]) in [crc[:kept] + b"\xff" * (4 - kept) for kept in range(4)]


def begins_record(slot: Bytes, sequence: int) -> bool:
    """Return whether a record of that sequence begins here, whole or not."""
    return bool(record_slots(slot)) and int.from_bytes(slot[3:_PREFIX_BYTES], "big") == sequence


def mac_of(slots: Bytes) -> bytes:
    return bytes(slots[-_TRAILER_BYTES:-4])


def mac_holds(slots: Bytes, mac_before: bytes | None, key: bytes) -> bool:
    """Return whether a record is ours, and follows on that before it: None if nobody knows which, behind a hole."""
    mac, held = mac_of(slots), record_mac(slots[:-_TRAILER_BYTES], mac_before or b"", key)
    return held[:_OWN_MAC_BYTES] == mac[:_OWN_MAC_BYTES] if mac_before is None else held == mac


def chained_mac_holds(slots: Bytes, mac_before: bytes, key: bytes) -> bool:
    """Return whether a record of version 1 follows on that before it; the key is the journal's."""
    return hmac_sha256(key, mac_before + bytes(slots[:-_TRAILER_BYTES]))[:MAC_BYTES] == mac_of(slots)


def is_blank(data: Bytes) -> bool:
    return bytes(data).count(b"\xff") == len(data)


def crc_holds(data: Bytes) -> bool:
    return crc32(data[:-4]) == int.from_bytes(data[-4:], "big")
