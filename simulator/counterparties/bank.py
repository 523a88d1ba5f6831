"""A bank that keeps the settlement account, and says what happened on it as camt.053.

Credits are lost on the way, come twice, and come from strangers; all on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from simulator.counterparties.party import Party, tenge

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
_STRANGER = "KZ00STRANGER00000000"


@dataclass(frozen=True)
class Habits:
    """How badly it behaves; every figure is a probability.

    Attributes:
        lose_credit: of a credit, that it never comes.
        stranger: of a day, that money comes of which nobody knows whose it is.
    """

    lose_credit: float = 0.0
    stranger: float = 0.0


@dataclass(frozen=True)
class Movement:
    """Money that came in (positive) or went out."""

    reference: str
    day: str
    amount_minor: int
    account: str
    party: str
    text: str
    end_to_end: str


class Bank(Party):
    """The bank of one settlement account.

    Attributes:
        movements: in the order in which they were asked for.
    """

    content_type = "application/xml"

    def __init__(self, iban: str, seed: int = 1, habits: Habits | None = None, opening_minor: int = 0) -> None:
        super().__init__(seed)
        self._iban = iban
        self._habits = habits or Habits()
        self._opening_minor = opening_minor
        self.movements: list[Movement] = []

    def credit(
        self,
        day: str,
        amount_minor: int,
        account: str,
        party: str,
        text: str,
        what: str = "",
        *,
        cause: str = "not_remitted",
        is_sure: bool = False,
    ) -> bool:
        """Let money come in; false when it was lost. `cause` and `what` are how reconciliation names it, should it be lost."""
        reference = f"B{day.replace('-', '')}{len(self.movements) + 1:06d}"
        if not is_sure and self.happens("lose_credit", self._habits.lose_credit, f"{day}/{party}/{amount_minor}"):
            self.inject(cause, what or reference, day, amount_minor)
            return False
        self.movements.append(Movement(reference, day, amount_minor, account, party, text, ""))
        return True

    def debit(self, day: str, amount_minor: int, account: str, party: str, end_to_end: str) -> None:
        """Let money go out, as a payment order says."""
        reference = f"B{day.replace('-', '')}{len(self.movements) + 1:06d}"
        self.movements.append(Movement(reference, day, -amount_minor, account, party, end_to_end, end_to_end))

    def _of_day(self, day: str) -> list[Movement]:
        found = [each for each in self.movements if each.day == day]
        if self.happens("stranger", self._habits.stranger, day):
            reference = f"BX{day.replace('-', '')}"
            self.inject("payer_unknown", reference, day, 123_456)
            found.append(Movement(reference, day, 123_456, _STRANGER, "Бөтен адам", "?", ""))
        return found

    def statement(self, day: str) -> bytes:
        """What happened on a day: camt.053, UTF-8."""
        before = {each.day for each in self.movements if each.day < day}
        opening_minor = self._opening_minor + sum(
            movement.amount_minor for earlier in sorted(before) for movement in self._of_day(earlier)
        )
        movements = self._of_day(day)
        closing_minor = opening_minor + sum(each.amount_minor for each in movements)
        entries = "".join(_entry(each) for each in movements)
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="{_NAMESPACE}"><BkToCstmrStmt>'
            f"<GrpHdr><MsgId>S{day}</MsgId><CreDtTm>{day}T23:59:59</CreDtTm></GrpHdr><Stmt><Id>{day}</Id>"
            f"<Acct><Id><IBAN>{self._iban}</IBAN></Id><Ccy>KZT</Ccy></Acct>"
            f"{_balance('OPBD', opening_minor, day)}{_balance('CLBD', closing_minor, day)}"
            f"<TxsSummry><TtlNtries><NbOfNtries>{len(movements)}</NbOfNtries></TtlNtries></TxsSummry>"
            f"{entries}</Stmt></BkToCstmrStmt></Document>"
        ).encode()


def _direction(amount_minor: int) -> str:
    return "CRDT" if amount_minor >= 0 else "DBIT"


def _balance(code: str, amount_minor: int, day: str) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(amount_minor)}"
        f"<CdtDbtInd>{_direction(amount_minor)}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _amount(amount_minor: int) -> str:
    return f'<Amt Ccy="KZT">{tenge(abs(amount_minor))}</Amt>'


def _entry(movement: Movement) -> str:
    other = "Dbtr" if movement.amount_minor >= 0 else "Cdtr"
    return "".join(_parts(movement, other))


def _parts(movement: Movement, other: str) -> Iterable[str]:
    yield f"<Ntry><NtryRef>{movement.reference}</NtryRef>{_amount(movement.amount_minor)}"
    yield f"<CdtDbtInd>{_direction(movement.amount_minor)}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
    yield f"<BookgDt><Dt>{movement.day}</Dt></BookgDt><AcctSvcrRef>{movement.reference}</AcctSvcrRef><NtryDtls><TxDtls>"
    yield f"<Refs><EndToEndId>{escape(movement.end_to_end) or 'NOTPROVIDED'}</EndToEndId></Refs>"
    yield f"<RltdPties><{other}><Pty><Nm>{escape(movement.party)}</Nm></Pty></{other}>"
    yield f"<{other}Acct><Id><IBAN>{escape(movement.account)}</IBAN></Id></{other}Acct></RltdPties>"
    yield f"<RmtInf><Ustrd>{escape(movement.text)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
