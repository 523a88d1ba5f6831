"""`python -m firmware journal --describe FILE`: what an image of a validator's flash holds, for a person or as JSON."""

from __future__ import annotations

import json
import sys
from binascii import unhexlify
from typing import TYPE_CHECKING

from firmware.boards.desktop import FileStore
from firmware.flash_image import ERASES_A_SECTOR, Image, describe
from firmware.keys import load_journal_key
from protocol.compat import const

if TYPE_CHECKING:
    from firmware.flash_image import Report

_KEY_BYTES = const(32)


def tell(options: dict[str, str]) -> None:
    """Print the report of an image, as the command line wants it; what cannot be read ends the program with exit code 1."""
    try:
        with open(options["describe"], "rb") as file:
            data = file.read()
        report = describe(Image(data), _key_of(options), max(int(options.get("taps-a-day", "1000")), 1))
    except (OSError, ValueError) as error:
        sys.stderr.write("firmware: " + str(error) + "\n")
        sys.exit(1)
    sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n" if "json" in options else as_text(report))


def _key_of(options: dict[str, str]) -> bytes | None:
    if "key" in options:
        key = unhexlify(options["key"])
        if len(key) != _KEY_BYTES:
            raise ValueError("the key of a journal has " + str(_KEY_BYTES) + " bytes")
        return key
    if "state" not in options:
        return None
    journal_key = load_journal_key(FileStore(options["state"]))
    if journal_key is None:
        raise ValueError("there is no identity in " + options["state"])
    return journal_key


def as_text(report: Report) -> str:
    """Return a report as lines for a terminal."""
    geometry, journal, capacity = report["geometry"], report["journal"], report["capacity"]
    a_day = f"{capacity['taps_a_day']} taps a day"
    lines = [
        f"flash     {geometry['sectors']} sectors of {geometry['sector_bytes']} bytes, {geometry['slots_a_sector']} slots each",
        f"checked   {report['checked']}",
        "journal   " + ", ".join([f"{name.replace('_', ' ')} {journal[name]}" for name in sorted(journal)]),
        f"capacity  {capacity['records_until_full']} records of {capacity['slots_a_record']} slots",
        f"          {capacity['days_without_network']} days without network at {a_day}",
        f"wear      {capacity['erases_a_sector']} erases of each sector so far",
        f"          {capacity['years_until_worn']} years until {ERASES_A_SECTOR} at {a_day}",
        "",
        "sector  number   epoch  first      acked      records  unreadable  header",
    ]
    for sector in report["sectors"]:
        cells = [sector.get(name, "-") for name in ("number", "epoch", "first_sequence", "acknowledged")]
        numbers = f"{cells[0]!s:<9}{cells[1]!s:<7}{cells[2]!s:<11}{cells[3]!s:<11}"
        verdict = sector["header"] + (", MAC " + sector["mac"] if "mac" in sector else "")
        lines.append(f"{sector['sector']:<8}{numbers}{sector['records']:<9}{sector['unreadable']:<12}{verdict}")
    lines += ["", "sequence   place    CRC            MAC            says"]
    for record in report["records"]:
        place = f"{record['sector']}:{record['slot']}"
        known = {"sector", "slot", "slots", "sequence", "crc", "mac", "number"}
        says = " ".join([f"{name}={record[name]}" for name in sorted(record) if name not in known])
        lines.append(f"{record['sequence']:<11}{place:<9}{record['crc']:<15}{record['mac']:<15}{says}")
    return "\n".join(lines) + "\n"
