"""An acquirer's daily settlement file, and what is wrong in it on purpose.

CSV in UTF-8, `;` between fields, the first line names them, amounts are tenge with a point, what is given back is negative. The
last line is the total: how many lines, and the sums of amounts and fees of those that are settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.counterparties.acquirer_book import AcquirerBook, Operation

_HEADER = "date;reference;acquirer_reference;kind;status;amount;fee;currency"
_SIGNS = {"capture": 1, "payment": 1, "refund": -1, "chargeback": -1}
# One of them befalls an item at most, in this order.
FAULTS = ("left_out", "settled_twice", "two_states", "amount_altered", "reference_reused")


@dataclass(frozen=True)
class Injected:
    """A difference that was put into a statement, and that reconciliation should find."""

    kind: str
    reference: str
    day: str
    amount_minor: int


class Statements:
    """The statements of one acquirer; the same day asked for again has the same faults."""

    def __init__(self, book: AcquirerBook) -> None:
        self._book = book
        self._injected: dict[tuple[str, str], Injected] = {}

    @property
    def injected(self) -> list[Injected]:
        """The differences in the statements that were asked for so far."""
        return [self._injected[key] for key in sorted(self._injected)]

    def statement(self, day: str) -> bytes:
        """The statement of what is paid out on a day: CSV, UTF-8, the last line the total."""
        rows: list[tuple[str, ...]] = []
        paid_minor = fees_minor = 0
        before = ""
        for operation in sorted(self._book.operations.values(), key=lambda each: each.reference):
            if operation.status != "done" or operation.kind not in _SIGNS or self._paid_out_on(operation) != day:
                continue
            lines = self._lines(operation, before, day)
            for status, amount_minor, own in lines:
                fee_minor = self._fee(operation.kind, amount_minor) if status == "settled" else 0
                rows.append(self._row(day, operation.reference, own, operation.kind, status, amount_minor, fee_minor))
                if status == "settled":
                    paid_minor, fees_minor = paid_minor + amount_minor, fees_minor + fee_minor
            before = lines[-1][2] if lines else before
        if self._book.happens("unknown_item", day):
            amount_minor, reference = 10_000, f"C{day.replace('-', '')}-NOBODYASKEDFORIT"
            fee_minor = self._fee("capture", amount_minor)
            self._inject("unknown_item", reference, day, amount_minor)
            rows.append(self._row(day, reference, "9999999999", "capture", "settled", amount_minor, fee_minor))
            paid_minor, fees_minor = paid_minor + amount_minor, fees_minor + fee_minor
        total = ("TOTAL", f"{len(rows)}", "", "", "", _tenge(paid_minor), _tenge(fees_minor), self._book.terms.currency)
        return "".join(";".join(row) + "\n" for row in [(_HEADER,), *rows, total]).encode()

    def _paid_out_on(self, operation: Operation) -> str:
        late = timedelta(days=int(self._book.happens("delay", operation.reference)))
        return (date.fromisoformat(operation.day) + late).isoformat()

    def _lines(self, operation: Operation, before: str, day: str) -> list[tuple[str, int, str]]:
        """The lines of an item (status, amount, the acquirer's reference), with at most one fault in them."""
        amount_minor, own = _SIGNS[operation.kind] * operation.amount_minor, operation.acquirer_reference
        fault = next((each for each in FAULTS if self._book.happens(each, operation.reference)), "")
        if fault == "reference_reused" and not before:
            fault = ""
        if fault:
            self._inject(fault, operation.reference, day, amount_minor)
        line = ("settled", amount_minor, own)
        return {
            "left_out": [],
            "settled_twice": [line, line],
            "two_states": [line, ("declined", amount_minor, own)],
            "amount_altered": [("settled", amount_minor + 1_000, own)],
            "reference_reused": [("settled", amount_minor, before)],
        }.get(fault, [line])

    def _inject(self, kind: str, reference: str, day: str, amount_minor: int) -> None:
        self._injected[kind, reference] = Injected(kind, reference, day, amount_minor)

    def _fee(self, kind: str, amount_minor: int) -> int:
        if kind not in {"capture", "payment"}:
            return 0
        return (amount_minor * self._book.terms.commission_bp + 5_000) // 10_000

    def _row(
        self, day: str, reference: str, own: str, kind: str, status: str, amount_minor: int, fee_minor: int
    ) -> tuple[str, ...]:
        return day, reference, own, kind, status, _tenge(amount_minor), _tenge(fee_minor), self._book.terms.currency


def _tenge(amount_minor: int) -> str:
    major, minor = divmod(abs(amount_minor), 100)
    return f"{'-' if amount_minor < 0 else ''}{major}.{minor:02d}"
