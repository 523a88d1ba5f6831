"""A statement as a file: PDF, XLSX or CSV, in one of three languages. The same statement gives the same content.

A name that a package or a sender has chosen is text and nothing else: no formula for a spreadsheet, no mark-up.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from clearing.endpoint import RefusedError
from clearing.money import MINOR_PER_MAJOR, format_minor
from clearing.settlement.statement_texts import entry_in_words, say
from clearing.settlement.statements import CLAIM, Detail, Statement

if TYPE_CHECKING:
    from fpdf import FPDF
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

_FONT = "statement"
_MARGIN_MM = 15
# Spreadsheets take a cell that begins so for a formula.
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")
Cell = str | int | Decimal


def _missing() -> RefusedError:
    return RefusedError(501, "not_installed", "what writes this is not installed", "install the extra `statements`")


def _money(amount_minor: int) -> Decimal:
    return Decimal(amount_minor) / MINOR_PER_MAJOR


def _detail_in_words(statement: Statement, detail: Detail, language: str) -> str:
    parts = [
        say(detail.kind, language, category=detail.category) if detail.kind == CLAIM else say(detail.kind, language)
    ]
    if detail.carrier:
        parts.append(statement.carrier_names.get(detail.carrier, {}).get(language, detail.carrier))
    if detail.medium:
        parts.append(say(detail.medium, language))
    return ", ".join(parts)


def statement_file(statement: Statement, format_: str, language: str, made_at_ms: int) -> bytes:
    """A statement as a file: `pdf`, `xlsx` or `csv`."""
    if format_ == "pdf":
        return statement_pdf(statement, language, made_at_ms)
    return statement_xlsx(statement, language, made_at_ms) if format_ == "xlsx" else statement_csv(statement, language)


class Tables:
    """A statement laid out as a head and three tables; money as decimals."""

    def __init__(self, statement: Statement, language: str) -> None:
        def said(*keys: str) -> list[str]:
            return [say(key, language) for key in keys]

        self.title = said("title")[0]
        self.name = statement.names[language]
        head = [say("days", language, first=statement.first_day, last=statement.last_day)]
        head.append(f"{said('city')[0]}: {statement.city_names.get(language, statement.city)}")
        if statement.bin is not None:
            head.append(f"{said('bin')[0]}: {statement.bin}")
        head.append(f"{said('currency')[0]}: {statement.currency}")
        if statement.versions:
            closed = ", ".join(f"{day} ({version})" for day, version in statement.versions)
            head.append(say("versions", language, list=closed))
        self.head = head
        self.tables: list[tuple[str, list[str], list[list[Cell]]]] = [
            (
                said("accounts")[0],
                said("account", "opening", "debit", "credit", "closing"),
                [
                    [
                        row.account,
                        *map(_money, (row.opening_minor, row.debit_minor, row.credit_minor, row.closing_minor)),
                    ]
                    for row in statement.accounts
                ],
            ),
            (
                said("movements")[0],
                said("day", "what", "account", "debit", "credit"),
                [
                    [
                        row.day,
                        entry_in_words(row.entry_key, statement.carrier_names, language),
                        row.account,
                        _money(max(row.amount_minor, 0)),
                        _money(max(-row.amount_minor, 0)),
                    ]
                    for row in statement.movements
                ],
            ),
            (
                said("details")[0],
                said("what", "count", "amount"),
                [
                    [_detail_in_words(statement, row, language), row.count, _money(row.amount_minor)]
                    for row in statement.details
                ],
            ),
        ]


def statement_csv(statement: Statement, language: str) -> bytes:
    """The tables below each other, in UTF-8 with the mark by which spreadsheets know it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    tables = Tables(statement, language)
    writer.writerows([_as_text(line)] for line in (tables.title, tables.name, *tables.head))
    for title, columns, rows in tables.tables:
        writer.writerows([[], [title], columns])
        writer.writerows([_csv_cell(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _csv_cell(cell: Cell) -> str:
    if isinstance(cell, Decimal):
        return format_minor(int(cell * MINOR_PER_MAJOR))
    return _as_text(cell) if isinstance(cell, str) else str(cell)


def _as_text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text


def statement_xlsx(statement: Statement, language: str, made_at_ms: int) -> bytes:
    """One sheet for each table; amounts are numbers."""
    try:
        from xlsxwriter import Workbook  # noqa: PLC0415 - an extra
    except ImportError:
        raise _missing() from None
    out = io.BytesIO()
    # Whatever a name begins with, it stays a text.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    workbook = Workbook(out, options)
    made = datetime.fromtimestamp(made_at_ms / 1000, UTC).replace(tzinfo=None)
    tables = Tables(statement, language)
    workbook.set_properties({"title": tables.title, "created": made})
    bold, money = workbook.add_format({"bold": True}), workbook.add_format({"num_format": "#,##0.00"})
    for index, (title, columns, rows) in enumerate(tables.tables):
        sheet = workbook.add_worksheet(title[:31])
        lines = [tables.title, tables.name, *tables.head] if index == 0 else [title]
        for number, line in enumerate(lines):
            sheet.write_string(number, 0, line, bold if number == 0 else None)
        _write_table(sheet, len(lines) + 1, columns, rows, bold, money)
    workbook.close()
    return out.getvalue()


def _write_table(
    sheet: Worksheet, top: int, columns: Sequence[str], rows: Sequence[Sequence[Cell]], bold: Format, money: Format
) -> None:
    sheet.set_column(0, len(columns), 22)
    for place, column in enumerate(columns):
        sheet.write_string(top, place, column, bold)
    for line, row in enumerate(rows, top + 1):
        for place, cell in enumerate(row):
            if isinstance(cell, Decimal):
                sheet.write_number(line, place, float(cell), money)
            elif isinstance(cell, int):
                sheet.write_number(line, place, cell)
            else:
                sheet.write_string(line, place, cell)


def statement_pdf(statement: Statement, language: str, made_at_ms: int) -> bytes:
    """Sheets of A4, landscape."""
    try:
        from fontpkg_noto_sans import ROOT  # noqa: PLC0415 - an extra
        from fpdf import FPDF  # noqa: PLC0415
    except ImportError:
        raise _missing() from None

    class Sheets(FPDF):
        def footer(self) -> None:
            self.set_y(-_MARGIN_MM)
            self.set_font(_FONT, size=8)
            self.cell(0, 6, say("page", language, page=self.page_no()), align="C")

    sheets = Sheets("landscape", "mm", "A4")
    sheets.set_creation_date(datetime.fromtimestamp(made_at_ms / 1000, UTC))
    sheets.set_lang(language)
    sheets.set_margin(_MARGIN_MM)
    sheets.add_font(_FONT, "", ROOT / "files" / "NotoSans[wdth,wght].ttf")
    sheets.add_page()
    tables = Tables(statement, language)
    sheets.set_title(tables.title)
    for size, line in ((16, tables.title), (13, tables.name), *((9, line) for line in tables.head)):
        sheets.set_font(_FONT, size=size)
        sheets.multi_cell(0, size / 2, line, new_x="LMARGIN", new_y="NEXT")
    for title, columns, rows in tables.tables:
        if rows:
            _draw_table(sheets, title, columns, rows)
    return bytes(sheets.output())


def _draw_table(sheets: FPDF, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    from fpdf.fonts import FontFace  # noqa: PLC0415 - an extra, which is there: the sheets are its

    sheets.ln(4)
    sheets.set_font(_FONT, size=12)
    sheets.cell(0, 8, title, new_x="LMARGIN", new_y="NEXT")
    sheets.set_font(_FONT, size=8)
    numbers = [all(not isinstance(row[place], str) for row in rows) for place in range(len(columns))]
    with sheets.table(
        text_align=tuple("RIGHT" if each else "LEFT" for each in numbers),
        col_widths=tuple(2 if each else 5 for each in numbers),
        line_height=5,
        # The font has one weight here: others would have to be computed, which takes many seconds.
        headings_style=FontFace(fill_color=(228, 232, 236)),
    ) as table:
        heading = table.row()
        for column in columns:
            heading.cell(column)
        for row in rows:
            line = table.row()
            for cell in row:
                line.cell(f"{cell:,.2f}".replace(",", " ") if isinstance(cell, Decimal) else str(cell))
