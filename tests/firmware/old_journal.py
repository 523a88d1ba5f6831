"""A journal as firmware wrote it in format 1, made from the specification: today's must still read it."""

from __future__ import annotations

from protocol.batch import next_head
from protocol.compat import crc32, hmac_sha256
from tests.firmware.journal_bench import EPOCH, GENESIS, KEY, SECTOR_BYTES, SLOT, payload
from tests.firmware.ram_flash import RamFlash

PER_SECTOR = SECTOR_BYTES // SLOT - 1


def old_image(count: int, sectors: int = 4, spoilt: set[int] | None = None) -> bytes:
    """Return an image with so many one-slot records; of those that are spoilt the MAC is gone."""
    image = b""
    head, mac = GENESIS, GENESIS[:8]
    for sequence in range(1, count + 1):
        if sequence % PER_SECTOR == 1:
            image += _header(sequence, head, mac)
        slot = _record(sequence, mac)
        head, mac = next_head(head, payload(sequence)), slot[-12:-4]
        image += slot[:-12] + bytes(12) if sequence in (spoilt or ()) else slot
    return image + b"\xff" * (sectors * SECTOR_BYTES - len(image))


def old_flash(count: int, sectors: int = 4, spoilt: set[int] | None = None) -> RamFlash:
    flash = RamFlash(sectors, SECTOR_BYTES)
    image = old_image(count, sectors, spoilt)
    flash.load([image[start : start + SECTOR_BYTES] for start in range(0, len(image), SECTOR_BYTES)])
    return flash


def sealed(slot: bytes) -> bytes:
    """Return a slot with a check sum that holds, as whoever changes it can make it."""
    return slot[:-4] + crc32(slot[:-4]).to_bytes(4, "big")


def _header(first_sequence: int, head: bytes, mac: bytes) -> bytes:
    signed = (
        b"JQJ1\x00\x01\xff\xff"
        + EPOCH.to_bytes(4, "big")
        + (first_sequence // PER_SECTOR + 1).to_bytes(4, "big")
        + first_sequence.to_bytes(8, "big")
        + head
        + mac
        + bytes(8)
        + b"\xff" * 8
    )
    slot = signed + hmac_sha256(KEY, signed)[:8]
    return sealed(slot + b"\xff" * (SLOT - len(slot)))


def _record(sequence: int, mac_before: bytes) -> bytes:
    data = payload(sequence)
    body = b"\xe1" + len(data).to_bytes(2, "big") + sequence.to_bytes(5, "big") + data
    body += b"\xff" * (SLOT - 12 - len(body))
    return sealed(body + hmac_sha256(KEY, mac_before + body)[:8] + bytes(4))
