"""Statements as CSV: a header, lines, and a last line with their number and sums. Pure. All faults are found at once."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from clearing.money import format_minor, parse_minor
from clearing.statements.adapter import Adapter, Columns, Total
from clearing.statements.encodings import decode_text
from clearing.statements.statement import (
    DECLINED,
    LINES_MAX,
    REFERENCE_CHARACTERS_MAX,
    REFUNDED,
    SETTLED,
    TEXT_CHARACTERS_MAX,
    UNKNOWN,
    Line,
    StatementError,
)

_TOKEN = re.compile(r"[0-9a-fA-F]{32}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_COUNT = re.compile(r"[0-9]{1,9}")


def read_csv(body: bytes, adapter: Adapter, currency: str, zone: str) -> tuple[list[Line], list[str]]:
    """Lines and notes of a CSV statement.

    Raises:
        StatementError: with every fault that was found.
    """
    text, faults, notes = decode_text(body, adapter.encoding)
    if faults:
        raise StatementError(faults)
    return _Reading(adapter, currency, zone).read(text), notes


@dataclass(frozen=True)
class _Row:
    """A line of the file as cells by header."""

    number: int
    cells: dict[str, str]

    def cell(self, column: str | None) -> str:
        return "" if column is None else self.cells[column]


class _Reading:
    """One reading of one file; it goes on after a fault, to find them all."""

    def __init__(self, adapter: Adapter, currency: str, zone: str) -> None:
        assert adapter.columns is not None
        assert adapter.total is not None
        self._adapter = adapter
        self._columns: Columns = adapter.columns
        self._total: Total = adapter.total
        self._currency = currency
        self._zone = ZoneInfo(zone)
        self._states = dict.fromkeys(adapter.states.settled, SETTLED)
        self._states |= dict.fromkeys(adapter.states.declined, DECLINED)
        self._states |= dict.fromkeys(adapter.states.refunded, REFUNDED)
        self._faults: list[str] = []

    def read(self, text: str) -> list[Line]:
        lines: list[Line] = []
        total: _Row | None = None
        for row in self._rows(text):
            if total is not None:
                self._faults.append(f"line {row.number}: comes after the total")
                break
            if next(iter(row.cells.values())) == self._total.marker:
                total = row
            elif len(lines) == LINES_MAX:
                raise StatementError([f"more than {LINES_MAX} lines; send it in parts"])
            elif (line := self._line(row)) is not None:
                lines.append(line)
        if total is None:
            self._faults.append(f"the last line, {self._total.marker}, is missing: the file was cut; ask for it again")
        elif not self._faults:
            self._hold_against_total(total, lines)
        if self._faults:
            raise StatementError(self._faults)
        return lines

    def _rows(self, text: str) -> Iterator[_Row]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._adapter.delimiter, strict=True)
        try:
            header = [cell.strip() for cell in next(reader, [])]
            self._check_header(header)
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    self._faults.append(
                        f"line {reader.line_num}: {len(cells)} cells where the header has {len(header)}"
                    )
                    continue
                stripped = [cell.strip() for cell in cells]
                yield _Row(reader.line_num, dict(zip(header, stripped, strict=True)))
        except csv.Error as error:
            self._faults.append(f"line {reader.line_num}: {error}")

    def _check_header(self, header: list[str]) -> None:
        wanted = {name for name in (*vars(self._columns).values(), *vars(self._total).values()) if name is not None}
        wanted.discard(self._total.marker)
        missing = sorted(wanted - set(header))
        twice = sorted({name for name in header if header.count(name) > 1})
        if missing or twice:
            faults = [f"no column {name}; the file has: {', '.join(header)[:200] or 'nothing'}" for name in missing]
            raise StatementError(faults + [f"two columns are called {name}" for name in twice])

    def _line(self, row: _Row) -> Line | None:
        columns, before = self._columns, len(self._faults)
        state = SETTLED if columns.state is None else self._states.get(row.cell(columns.state), UNKNOWN)
        amount_minor = self._amount(row, columns.amount, signed=self._adapter.signed)
        fee_minor = self._amount(row, columns.fee, signed=self._adapter.signed) if columns.fee else 0
        currency = row.cell(columns.currency) or self._currency
        if currency != self._currency:
            said = currency if _CURRENCY.fullmatch(currency) else "none"
            self._fault(row, f"the currency is {said}, the city's is {self._currency}")
        moment = self._moment(row)
        token = row.cell(columns.token).lower()
        if columns.token is not None and _TOKEN.fullmatch(token) is None:
            self._fault(row, "a card is named by its token, 32 hexadecimal digits, never by its number")
        if len(row.cell(columns.reference)) > REFERENCE_CHARACTERS_MAX:
            self._fault(row, f"a reference has {REFERENCE_CHARACTERS_MAX} characters at most")
        if len(self._faults) > before or moment is None:
            return None
        day, at_s = moment
        return Line(
            row.number,
            row.cell(columns.reference),
            state,
            row.cell(columns.kind)[:TEXT_CHARACTERS_MAX],
            amount_minor,
            fee_minor,
            currency,
            day,
            at_s,
            row.cell(columns.own_reference)[:REFERENCE_CHARACTERS_MAX],
            row.cell(columns.account)[:REFERENCE_CHARACTERS_MAX],
            row.cell(columns.party)[:TEXT_CHARACTERS_MAX],
            row.cell(columns.text)[:TEXT_CHARACTERS_MAX],
            token,
        )

    def _fault(self, row: _Row, text: str) -> None:
        self._faults.append(f"line {row.number}: {text}")

    def _amount(self, row: _Row, column: str, *, signed: bool) -> int:
        """Tiyn of an amount; an unreadable one is a fault."""
        written = row.cell(column)
        text = written.replace("\u00a0", " ").replace("\u202f", " ")
        if self._adapter.thousands:
            text = text.replace(self._adapter.thousands, "")
        other = "," if self._adapter.decimal == "." else "."
        try:
            amount_minor = parse_minor(text.replace(other, "?"))
        except ValueError:
            self._fault(row, f"{column}: not an amount with the decimal sign {self._adapter.decimal}")
            return 0
        if amount_minor < 0 and not signed:
            self._fault(row, f"{column}: {format_minor(amount_minor)} is negative")
        return amount_minor

    def _moment(self, row: _Row) -> tuple[str, int | None] | None:
        """The day of a line, and its moment where the file says one."""
        try:
            moment = datetime.strptime(row.cell(self._columns.date), self._adapter.date)  # noqa: DTZ007 - see below
        except ValueError:
            self._fault(row, f"{self._columns.date}: not a date as {self._adapter.date} has it")
            return None
        if not 2000 <= moment.year <= 2099:
            self._fault(row, f"{self._columns.date}: not of this century")
            return None
        local = moment.astimezone(self._zone) if moment.tzinfo else moment.replace(tzinfo=self._zone)
        has_time = any(sign in self._adapter.date for sign in ("%H", "%I", "%X", "%c", "%T"))
        return local.date().isoformat(), int(local.timestamp()) if has_time else None

    def _hold_against_total(self, total: _Row, lines: list[Line]) -> None:
        settled = [line for line in lines if line.state == SETTLED]
        count = total.cell(self._total.count)
        if self._total.count is not None and (_COUNT.fullmatch(count) is None or int(count) != len(lines)):
            said = count if _COUNT.fullmatch(count) else "no number of"
            self._fault(total, f"it says {said} lines, there are {len(lines)}: the file is not whole")
        sums = [(self._total.amount, sum(line.amount_minor for line in settled))]
        if self._total.fee is not None:
            sums.append((self._total.fee, sum(line.fee_minor for line in settled)))
        for column, found_minor in sums:
            before = len(self._faults)
            said_minor = self._amount(total, column, signed=True)
            if len(self._faults) == before and said_minor != found_minor:
                self._fault(
                    total,
                    f"{column}: it says {format_minor(said_minor)}, the lines add up to {format_minor(found_minor)}",
                )
