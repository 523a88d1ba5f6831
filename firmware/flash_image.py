"""What an image of a validator's flash holds: each structure with a verdict on it, what is lost, how long such a flash lasts.

For a validator that is broken: nothing is written, and nothing is needed but the image. Without the key of the journal the CRC
of each structure is checked; with it, the MACs, too, and what is lost is told as the journal itself would tell it. Of a token
no more is told than its first bytes.
"""

from __future__ import annotations

from binascii import hexlify
from itertools import pairwise
from typing import TYPE_CHECKING

from firmware.journal import Journal, JournalError
from firmware.slots import (
    RECORD_SLOTS_MAX,
    SLOT_BYTES,
    decode_by_mac,
    decode_header,
    decode_record,
    is_blank,
    is_header,
    mac_holds,
    mac_of,
    read_header,
    record_slots,
)
from protocol.compat import const
from protocol.errors import TapError
from protocol.tap import KIND_LOST_RANGE, decode_tap

if TYPE_CHECKING:
    from typing import Any

    from firmware.slots import SectorHeader

    Report = dict[str, Any]

_SECTORS = const(4)
_SECTOR_BYTES = const(5)
SECTOR_BYTES = const(4096)
ERASES_A_SECTOR = const(100_000)
_EVERYTHING = const(1_000_000)
_SHOWN = (
    "kind",
    "medium",
    "decision",
    "tapped_at_s",
    "clock_quality",
    "boot",
    "fare_minor",
    "category",
    "line",
    "trip",
)


class Image:
    """An image as a flash that can only be read."""

    def __init__(self, data: bytes, sector_bytes: int = SECTOR_BYTES) -> None:
        if not data or len(data) % sector_bytes:
            raise ValueError("an image has whole sectors of " + str(sector_bytes) + " bytes")
        self._data = data
        self._sector_bytes = sector_bytes

    def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
        start = block * self._sector_bytes + offset
        buffer[:] = self._data[start : start + len(buffer)]

    def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        del block, buffer, offset
        raise JournalError("an image is not written to")

    def ioctl(self, operation: int, argument: int) -> int:
        del argument
        return {_SECTORS: len(self._data) // self._sector_bytes, _SECTOR_BYTES: self._sector_bytes}[operation]

    def slots(self, sector: int, slot: int, count: int) -> bytes:
        start = sector * self._sector_bytes + slot * SLOT_BYTES
        return self._data[start : start + count * SLOT_BYTES]


def describe(image: Image, key: bytes | None, taps_a_day: int) -> Report:
    """Return everything that can be told of an image; verdicts are `holds`, `does not hold`, `not known`, `not checked`."""
    count, sector_bytes = image.ioctl(_SECTORS, 0), image.ioctl(_SECTOR_BYTES, 0)
    sectors: list[Report] = []
    records: list[Report] = []
    for sector in range(count):
        told, header = _describe_header(image, sector, key)
        found = _describe_records(image, sector, sector_bytes // SLOT_BYTES, header, key)
        told["records"] = len([record for record in found if record["crc"] == "holds"])
        told["unreadable"] = len(found) - told["records"]
        sectors.append(told)
        records += [record | {"number": told.get("number", 0)} for record in found]
    records.sort(key=lambda record: (record["number"], record["sector"], record["slot"]))
    slots = [record["slots"] for record in records if record["crc"] == "holds"]
    return {
        "geometry": {"sectors": count, "sector_bytes": sector_bytes, "slots_a_sector": sector_bytes // SLOT_BYTES},
        "checked": "CRC" if key is None else "CRC and MAC",
        "sectors": sectors,
        "records": records,
        "journal": _describe_journal(image, key, sectors, records),
        "capacity": _capacity(count, sector_bytes, slots, sectors, taps_a_day),
    }


def _describe_header(image: Image, sector: int, key: bytes | None) -> tuple[Report, SectorHeader | None]:
    slot = image.slots(sector, 0, 1)
    if is_blank(slot):
        return {"sector": sector, "header": "blank"}, None
    if not is_header(slot):
        return {"sector": sector, "header": "unreadable"}, None
    header = read_header(slot)
    return {
        "sector": sector,
        "header": "holds",
        "mac": _verdict(key, key is not None and decode_header(slot, key) is not None),
        "number": header.number,
        "epoch": header.epoch,
        "first_sequence": header.first_sequence,
        "acknowledged": header.acked_sequence,
        "rebased": bool(header.flags & 1),
    }, header


def _verdict(key: bytes | None, holds: bool) -> str:
    return "not checked" if key is None else "holds" if holds else "does not hold"


def _describe_records(
    image: Image, sector: int, slots: int, header: SectorHeader | None, key: bytes | None
) -> list[Report]:
    found: list[Report] = []
    mac = header.mac_before if header is not None else b""
    is_mac_known = header is not None
    slot = 1
    while slot < slots:
        view = image.slots(sector, slot, 1)
        count = record_slots(view)
        if not count or slot + count > slots:
            slot += 1
            continue
        view = image.slots(sector, slot, count)
        record = decode_record(view)
        sequence = int.from_bytes(view[3:8], "big")
        if record is None and (header is None or not 0 <= sequence - header.first_sequence < slots):
            slot += 1  # the inside of a record that looks like the beginning of one
            continue
        verdict = _verdict(key, key is not None and mac_holds(view, mac, key))
        if verdict == "does not hold" and not is_mac_known:
            verdict = "not known"
        told: Report = {"sector": sector, "slot": slot, "slots": count, "sequence": sequence, "mac": verdict}
        told["crc"] = "holds" if record is not None else "does not hold"
        if record is None and key is not None:
            record = decode_by_mac(view, mac, key)
        if record is not None:
            told.update(_describe_payload(record[1]))
        # What stands where its MAC stood may have rotted, too: then nothing can be said of the next one.
        mac, is_mac_known = mac_of(view), record is not None
        found.append(told)
        slot += count if record is not None else 1
    return found


def _describe_payload(payload: bytes) -> Report:
    try:
        tap = decode_tap(payload)
    except TapError as error:
        return {"fault": str(error)}
    told = {name: getattr(tap, name) for name in _SHOWN if getattr(tap, name) is not None}
    if tap.token is not None:
        told["token"] = hexlify(tap.token[:3]).decode() + "…"
    if tap.reference is not None:
        told["reference"] = tap.reference
    return told


def _describe_journal(image: Image, key: bytes | None, sectors: list[Report], records: list[Report]) -> Report:
    """Say what the journal makes of it: what is owed to the service, and what is lost."""
    headers = [sector for sector in sectors if sector["header"] == "holds"]
    if not headers:
        return {"fault": "no sector has a header that can be read"}
    newest = max(headers, key=lambda sector: sector["number"])
    told: Report = {"epoch": newest["epoch"], "acknowledged_at_least": newest["acknowledged"]}
    if key is None:
        good = sorted({record["sequence"] for record in records if record["crc"] == "holds"})
        gaps = [[before + 1, after - 1] for before, after in pairwise(good) if after > before + 1]
        return told | {"oldest": good[0] if good else 0, "newest": good[-1] if good else 0, "lost": gaps}
    # The chain to the service is not looked at, so it does not matter whose it is.
    journal = Journal(image, key, bytes(16), newest["epoch"])
    try:
        journal.recover()
    except JournalError as error:
        return told | {"fault": str(error)}
    lost = []
    for record in journal.records_from(journal.oldest_sequence, _EVERYTHING, _EVERYTHING * RECORD_SLOTS_MAX)[1]:
        try:
            tap = decode_tap(record)
        except TapError:
            continue
        if tap.kind == KIND_LOST_RANGE:
            lost.append(tap.reference)
    return told | {
        "acknowledged_at_least": journal.acked,
        "oldest": journal.oldest_sequence,
        "newest": journal.next_sequence - 1,
        "free_slots": journal.free_slots,
        "torn_slots": journal.torn,
        "lost": lost,
    }


def _capacity(count: int, sector_bytes: int, slots: list[int], sectors: list[Report], taps_a_day: int) -> Report:
    """Say how long such a flash lasts: without network, and before its sectors are worn out."""
    slots_a_record = sum(slots) / len(slots) if slots else 1.0
    usable = sector_bytes // SLOT_BYTES - 1
    opened = max([sector.get("number", 0) for sector in sectors] + [0])
    erased = max(opened - count, 0) / count
    erases_a_day = taps_a_day * slots_a_record / usable / count
    return {
        "slots_a_record": round(slots_a_record, 2),
        "records_until_full": int(count * usable / slots_a_record),
        "taps_a_day": taps_a_day,
        "days_without_network": round(count * usable / slots_a_record / taps_a_day, 1),
        "erases_a_sector": round(erased, 2),
        "years_until_worn": round((ERASES_A_SECTOR - erased) / erases_a_day / 365, 1),
    }
