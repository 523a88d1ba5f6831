"""`python -m firmware journal --describe FILE`: what an image of a validator's flash holds, for a person or as JSON.

The journal's key comes from the validator's folder, from a file, or from standard input; never from the command line, which
everybody on the machine can read while the program runs.
"""

from __future__ import annotations

import json
import sys
from binascii import unhexlify
from itertools import groupby
from typing import TYPE_CHECKING

from firmware.boards.desktop import FileStore
from firmware.flash_image import ERASES_A_SECTOR, Image, describe
from firmware.keys import load_journal_key
from protocol.compat import const

if TYPE_CHECKING:
    from typing import NoReturn

    from firmware.flash_image import Report

_KEY_BYTES = const(32)
_LEFT_OUT = "warning   {} bytes at the end are no whole sector and were left out: read the flash out again"


def tell(options: dict[str, str]) -> None:
    """Print the report of an image, as the command line wants it; what cannot be read ends the program with exit code 1."""
    try:
        with open(options["describe"], "rb") as file:
            image = Image(file.read())
        report = describe(image, _key_of(options), max(int(options.get("taps-a-day", "1000")), 1))
    except OSError as error:
        _fail(f"cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        _fail(str(error))
    sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n" if "json" in options else as_text(report))


def _fail(message: str) -> NoReturn:
    sys.stderr.write("firmware: " + message + "\n")
    sys.exit(1)


def _key_of(options: dict[str, str]) -> bytes | None:
    if "key-file" in options:
        return _read_key(options["key-file"])
    if "state" not in options:
        return None
    journal_key = load_journal_key(FileStore(options["state"]))
    if journal_key is None:
        raise ValueError(
            "there is no identity in " + options["state"] + ": give --key-file, or no key to check the CRCs alone"
        )
    return journal_key


def _read_key(path: str) -> bytes:
    if path == "-":
        digits = sys.stdin.read()
    else:
        with open(path, encoding="ascii", errors="replace") as file:
            digits = file.read()
    try:
        key = unhexlify(digits.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(
            f"the key of a journal is {2 * _KEY_BYTES} hex digits, and nothing else: that is not in {path}"
        )
    return key


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
    ]
    if report["left_out_bytes"]:
        lines.append(_LEFT_OUT.format(report["left_out_bytes"]))
    lines += ["", "sector  number   epoch  first      acked      records  unreadable  header"]
    lines += _sector_lines(report["sectors"])
    lines += ["", "sequence   place    CRC            MAC            says"]
    for record in report["records"]:
        place = f"{record['sector']}:{record['slot']}"
        known = {"sector", "slot", "slots", "sequence", "crc", "mac", "number"}
        says = " ".join([f"{name}={record[name]}" for name in sorted(record) if name not in known])
        lines.append(f"{record['sequence']:<11}{place:<9}{record['crc']:<15}{record['mac']:<15}{says}")
    return "\n".join(lines) + "\n"


def _sector_lines(sectors: list[Report]) -> list[str]:
    """Return a line for each sector; those without header and records that lie together share one."""
    lines = []
    for (header, is_alone), group in groupby(
        sectors, lambda each: (each["header"], "number" in each or each["records"] > 0)
    ):
        run = list(group)
        if not is_alone and len(run) > 1:
            lines.append(f"{run[0]['sector']} to {run[-1]['sector']}: {header}")
            continue
        lines += [_sector_line(sector) for sector in run]
    return lines


def _sector_line(sector: Report) -> str:
    cells = [sector.get(name, "-") for name in ("number", "epoch", "first_sequence", "acknowledged")]
    numbers = f"{cells[0]!s:<9}{cells[1]!s:<7}{cells[2]!s:<11}{cells[3]!s:<11}"
    verdict = sector["header"] + (", MAC " + sector["mac"] if "mac" in sector else "")
    return f"{sector['sector']:<8}{numbers}{sector['records']:<9}{sector['unreadable']:<12}{verdict}"
