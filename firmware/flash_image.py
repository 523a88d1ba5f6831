"""What an image of a validator's flash holds: each structure with a verdict on it, what is lost, how long such a flash lasts.

For a validator that is broken: nothing is written, and nothing is needed but the image. Without the key of the journal the CRC
of each structure is checked; with it, the MACs, too, and what is lost is told as the journal itself would tell it. Of a token
no more is told than its first bytes. A fault says what to do.
"""

from __future__ import annotations

from binascii import hexlify
from itertools import pairwise
from typing import TYPE_CHECKING

from firmware.journal import Journal, JournalError
from firmware.sectors import Sectors
from firmware.slots import (
    FORMAT,
    FORMAT_CHAINED_ONLY,
    RECORD_SLOTS_MAX,
    SLOT_BYTES,
    decode_header,
    decode_record,
    is_blank,
    is_header,
    is_torn,
    mac_of,
    read_header,
    read_record,
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
        if len(data) < sector_bytes:
            raise ValueError(
                f"the image has {len(data)} bytes, less than one sector of {sector_bytes}: read the flash out again"
            )
        # What is behind the last whole sector; the journal never writes there.
        self.left_out_bytes = len(data) % sector_bytes
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
    """Return everything that can be told of an image.

    Verdicts are `holds`, `holds alone` (behind a hole), `does not hold`, `not known`, and `not checked`.
    """
    count, sector_bytes = image.ioctl(_SECTORS, 0), image.ioctl(_SECTOR_BYTES, 0)
    sectors: list[Report] = []
    records: list[Report] = []
    headers = [_describe_header(image, sector, key) for sector in range(count)]
    # Where a header cannot be read, its epoch is taken for that of the newest.
    _, epoch = max([(header.number, header.epoch) for _, header in headers if header is not None], default=(0, 0))
    for sector, (told, header) in enumerate(headers):
        found = _describe_records(image, sector, header, epoch, key)
        told["records"] = len([record for record in found if record["crc"] == "holds"])
        told["unreadable"] = len(found) - told["records"]
        sectors.append(told)
        records += [record | {"number": told.get("number", 0)} for record in found]
    records.sort(key=lambda record: (record["number"], record["sector"], record["slot"]))
    slots = [record["slots"] for record in records if record["crc"] == "holds"]
    return {
        "geometry": {"sectors": count, "sector_bytes": sector_bytes, "slots_a_sector": sector_bytes // SLOT_BYTES},
        "left_out_bytes": image.left_out_bytes,
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
        "mac": "not checked" if key is None else "holds" if decode_header(slot, key) else "does not hold",
        "format": header.version,
        "number": header.number,
        "epoch": header.epoch,
        "first_sequence": header.first_sequence,
        "acknowledged": header.acked_sequence,
        "rebased": bool(header.flags & 1),
    }, header


class _Macs:
    """What is known of the MACs of a sector's records, one after another.

    Attributes:
        before: of the record before; what stands where it was, may have rotted, too.
        is_known: it has not.
    """

    def __init__(self, image: Image, header: SectorHeader | None, epoch: int, key: bytes) -> None:
        self._sectors = Sectors(image, key, header.epoch if header is not None else epoch)
        self._version = header.version if header is not None else 0
        self.before = header.mac_before if header is not None else b""
        self.is_known = header is not None

    def hold(self, slots: bytes) -> bool:
        return self._sectors.mac_holds(slots, self.before, self._version)

    def verdict(self, slots: bytes) -> str:
        if self.hold(slots):
            return "holds"
        if self.is_known:
            return "does not hold"
        if self._version != FORMAT_CHAINED_ONLY and self._sectors.mac_holds(slots, None, self._version):
            return "holds alone"
        return "does not hold" if self._version == FORMAT else "not known"


def _describe_records(
    image: Image, sector: int, header: SectorHeader | None, epoch: int, key: bytes | None
) -> list[Report]:
    slots = image.ioctl(_SECTOR_BYTES, 0) // SLOT_BYTES
    macs = _Macs(image, header, epoch, key) if key is not None else None
    found: list[Report] = []
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
        told: Report = {"sector": sector, "slot": slot, "slots": count, "sequence": sequence}
        told["mac"] = macs.verdict(view) if macs is not None else "not checked"
        told["crc"] = "holds" if record is not None else "does not hold"
        if record is None and macs is not None and macs.hold(view) and not is_torn(view):
            record = read_record(view)
        if record is not None:
            told.update(_describe_payload(record[1]))
        if macs is not None:
            macs.before, macs.is_known = mac_of(view), record is not None
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
        return {"fault": _fault_without_header(sectors)}
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


def _fault_without_header(sectors: list[Report]) -> str:
    if all(sector["header"] == "blank" for sector in sectors):
        return "nothing is on this flash: it is new or was erased; if it should not be, read it out again"
    return (
        "no sector has a header of a journal: check that this is the flash of a validator from its first byte on, "
        "and read it out again"
    )


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
