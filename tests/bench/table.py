"""A table of figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[str], None]

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """What one measure found.

    Attributes:
        title: what was measured.
        columns: names, with their units.
        rows: a cell for each column; None where there is nothing to say.
        note: what the peer or limit is, and what is not in the figures.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    note: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        """Return it as a Markdown table, aligned to be read as it is."""
        cells = [[_text(cell) for cell in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]
        rule = [f"{'-' * (width - 1)}:" if place else "-" * width for place, width in enumerate(widths)]
        lines = [_line(line, widths) for line in ([*self.columns], rule, *cells)]
        return "\n".join([f"### {self.title}", "", *lines, "", self.note])


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"


def _text(cell: Cell) -> str:
    """Three digits are as many as such a figure is worth."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        if cell >= 100:
            return f"{cell:,.0f}".replace(",", " ")
        return f"{cell:.1f}" if cell >= 10 else f"{cell:.2f}"
    return f"{cell:,}".replace(",", " ") if isinstance(cell, int) else cell
