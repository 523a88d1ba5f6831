"""Labels for vehicles: what one says, and how it is drawn: sheets of A4 to cut apart, or one code as PNG or SVG.

The libraries that draw are an extra, and so are the fonts: they are loaded when something is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clearing.endpoint import InvalidError, RefusedError
from clearing.fleet.keys import KeyStore
from clearing.network.models import Vehicle
from protocol.errors import QrError
from protocol.qr.vehicle_label import label_check, read_label, show_label

if TYPE_CHECKING:
    from fpdf import FPDF
    from qrcode.main import QRCode

_TEXTS = (
    ("Жол ақысын телефонмен төлеңіз", "QR-кодты сканерлеңіз немесе кодты SMS-пен жіберіңіз:"),
    ("Оплатите проезд телефоном", "Отсканируйте QR-код или отправьте код по SMS:"),
)
# A4 in millimetres: two columns of four labels, with room for the printer's edge.
_PAGE_MM = (210, 297)
_LABEL_MM = (95, 68)
_COLUMNS, _ROWS = 2, 4
_MARK_MM = 4
_CODE_MM = 38
_BORDER_MODULES = 4
_PIXELS_PER_MODULE = 12
_FONT = "label"


@dataclass(frozen=True)
class Label:
    """One label. The line is not on it: a vehicle serves another one tomorrow.

    Attributes:
        vehicle: the code in large letters.
        link: what the QR code holds.
    """

    vehicle: str
    link: str


def make_label(keys: KeyStore, vehicle: Vehicle) -> Label:
    """The label of a vehicle.

    Raises:
        InvalidError: its code has signs that a label cannot have.
    """
    link = show_label(vehicle.city, vehicle.code, label_check(keys.qr_master, vehicle.city, vehicle.code))
    try:
        read_label(link)
    except QrError as error:
        raise InvalidError(f"vehicle {vehicle.code} can have no label: {error}", "give it another code") from None
    return Label(vehicle.code, link)


def _code(text: str) -> QRCode:
    try:
        import qrcode  # noqa: PLC0415 - an extra
    except ImportError:
        raise _missing() from None
    code = qrcode.QRCode(
        error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=_PIXELS_PER_MODULE, border=_BORDER_MODULES
    )
    code.add_data(text)
    code.make(fit=True)
    return code


def _missing() -> RefusedError:
    return RefusedError(501, "not_installed", "what draws labels is not installed", "install the extra `labels`")


def label_png(label: Label) -> bytes:
    """The QR code of a label as a picture."""
    out = io.BytesIO()
    _code(label.link).make_image().save(out)
    return out.getvalue()


def label_svg(label: Label) -> str:
    """The QR code of a label as a drawing, a millimetre a module."""
    modules = _code(label.link).get_matrix()
    size = len(modules)
    squares = "".join(
        f"M{column} {row}h1v1h-1z" for row, line in enumerate(modules) for column, dark in enumerate(line) if dark
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}mm" height="{size}mm" viewBox="0 0 {size} {size}">'
        f'<title>{label.vehicle}</title><rect width="{size}" height="{size}" fill="#fff"/><path d="{squares}"/></svg>\n'
    )


def label_sheets(labels: Sequence[Label], printed_at_ms: int) -> bytes:
    """Sheets of A4 with cut marks, eight labels on each, in Kazakh and Russian: a PDF."""
    try:
        from fontpkg_noto_sans import ROOT  # noqa: PLC0415 - an extra
        from fpdf import FPDF  # noqa: PLC0415
    except ImportError:
        raise _missing() from None
    sheets = FPDF("portrait", "mm", "A4")
    sheets.set_creation_date(datetime.fromtimestamp(printed_at_ms / 1000, UTC))
    sheets.set_auto_page_break(auto=False)
    # As it lies there it is of normal weight; other weights would have to be computed, which takes many seconds.
    sheets.add_font(_FONT, "", ROOT / "files" / "NotoSans[wdth,wght].ttf")
    for index, label in enumerate(labels):
        row, column = divmod(index % (_COLUMNS * _ROWS), _COLUMNS)
        if row == column == 0:
            sheets.add_page()
        left = (_PAGE_MM[0] - _COLUMNS * _LABEL_MM[0]) / 2 + column * _LABEL_MM[0]
        top = (_PAGE_MM[1] - _ROWS * _LABEL_MM[1]) / 2 + row * _LABEL_MM[1]
        _draw_marks(sheets, left, top)
        _draw_label(sheets, label, left, top)
    return bytes(sheets.output())


def _draw_marks(sheets: FPDF, left: float, top: float) -> None:
    """Mark the four corners, where the sheet is cut."""
    sheets.set_line_width(0.1)
    for x in (left, left + _LABEL_MM[0]):
        for y in (top, top + _LABEL_MM[1]):
            sheets.line(x - _MARK_MM / 2, y, x + _MARK_MM / 2, y)
            sheets.line(x, y - _MARK_MM / 2, x, y + _MARK_MM / 2)


def _draw_label(sheets: FPDF, label: Label, left: float, top: float) -> None:
    modules = _code(label.link).get_matrix()
    size = _CODE_MM / len(modules)
    for row, line in enumerate(modules):
        for column, is_dark in enumerate(line):
            if is_dark:
                sheets.rect(left + 4 + column * size, top + 4 + row * size, size, size, style="F")
    text_left, width = left + _CODE_MM + 6, _LABEL_MM[0] - _CODE_MM - 10
    sheets.set_font(_FONT, size=38)
    sheets.set_xy(text_left, top + 16)
    sheets.cell(width, 14, label.vehicle)
    for index, (title, text) in enumerate(_TEXTS):
        sheets.set_xy(left + 4, top + _CODE_MM + 5 + index * 11)
        sheets.set_font(_FONT, size=11)
        sheets.cell(_LABEL_MM[0] - 8, 5, title)
        sheets.set_xy(left + 4, top + _CODE_MM + 9 + index * 11)
        sheets.set_font(_FONT, size=9)
        sheets.cell(_LABEL_MM[0] - 8, 4, f"{text} {label.vehicle}")
