"""What a counterparty's file says, once it has been read, and the error of one that is refused. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SETTLED = "settled"
DECLINED = "declined"
REFUNDED = "refunded"
UNKNOWN = "unknown"
FILE_BYTES_MAX = 64 * 1024 * 1024
LINES_MAX = 1_000_000
REFERENCE_CHARACTERS_MAX = 128
TEXT_CHARACTERS_MAX = 500
_FAULTS_SHOWN = 50


class StatementError(Exception):
    """A file that is refused as a whole.

    Attributes:
        faults: what is wrong, a sentence each, with the line; at most fifty, the last one then says how many more there are.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        shown = list(faults[:_FAULTS_SHOWN])
        if len(faults) > _FAULTS_SHOWN:
            shown.append(f"and {len(faults) - _FAULTS_SHOWN} more")
        super().__init__("; ".join(shown))
        self.faults = shown


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        number: its place in the file, from 1: the line of a CSV file, the entry of an XML one.
        reference: by which the counterparty names what it is about; empty where it does not.
        state: `settled`, `declined`, `refunded`, or `unknown` for a word that the adapter does not know.
        kind: the counterparty's own word for what it is, such as `capture`; empty where there is none.
        amount_minor: signed as in the file; on a bank's statement what went out is negative.
        fee_minor: kept by the counterparty.
        day: ISO date; `at_s` the moment where the file says it.
        own_reference: a further number of the counterparty's.
        account, party, text: of a bank's line: whose account the money came from or went to, whose it is, and what was written.
        token: 32 hexadecimal digits, of a top-up's card.
    """

    number: int
    reference: str
    state: str
    kind: str
    amount_minor: int
    fee_minor: int
    currency: str
    day: str
    at_s: int | None = None
    own_reference: str = ""
    account: str = ""
    party: str = ""
    text: str = ""
    token: str = ""


@dataclass(frozen=True)
class Statement:
    """A file that was read whole.

    Attributes:
        kind: whose it is: `acquirer`, `qr_provider`, `sms_aggregator`, `agent` or `bank`.
        sha256: of the file, hexadecimal.
        first_day, last_day: of its lines, or as the file itself says.
        notes: what a reader should know and what is no fault, such as names that an old encoding has changed.
    """

    kind: str
    adapter: str
    sha256: str
    first_day: str
    last_day: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    @property
    def total_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines if line.state == SETTLED)
