"""Bank statements as camt.053 (ISO 20022 Bank to Customer Statement, versions 02 to 13). Pure.

Read by the standard library's parser behind defusedxml: no entities, no external documents. Entries that are booked count; what
goes out is negative. The balances are held against the entries, so that a statement that lacks one is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from clearing.money import format_minor, parse_minor
from clearing.statements.statement import (
    LINES_MAX,
    REFERENCE_CHARACTERS_MAX,
    SETTLED,
    TEXT_CHARACTERS_MAX,
    Line,
    StatementError,
)

_NAMESPACE = re.compile(r"\{(urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.[0-9]{2})\}Document")
_SIGNS = {"CRDT": 1, "DBIT": -1}
_OPENING = ("OPBD", "PRCD")
_NO_REFERENCE = {"", "NOTPROVIDED"}


def read_camt053(body: bytes, currency: str) -> list[Line]:
    """Lines of all statements in a message.

    Raises:
        StatementError: with every fault that was found.
    """
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise StatementError([f"not an XML document that can be read safely: {type(error).__name__}"]) from None
    match = _NAMESPACE.fullmatch(root.tag)
    if match is None:
        raise StatementError(["not a camt.053 message; ask the bank for camt.053, or write an adapter for its CSV"])
    return _Reading(match[1], currency).read(root)


class _Reading:
    """One reading of one message; it goes on after a fault, to find them all."""

    def __init__(self, namespace: str, currency: str) -> None:
        self._names = {"c": namespace}
        self._currency = currency
        self._faults: list[str] = []
        self._number = 0

    def read(self, root: Element) -> list[Line]:
        statements = root.findall("c:BkToCstmrStmt/c:Stmt", self._names)
        if not statements:
            raise StatementError(["the message has no statement in it"])
        lines = [line for statement in statements for line in self._statement(statement)]
        if self._faults:
            raise StatementError(self._faults)
        return lines

    def _statement(self, statement: Element) -> list[Line]:
        before, lines, sum_minor, entries = len(self._faults), [], 0, 0
        for entry in statement.findall("c:Ntry", self._names):
            self._number += 1
            entries += 1
            if self._number > LINES_MAX:
                raise StatementError([f"more than {LINES_MAX} entries; send it in parts"])
            if (self._text(entry, "c:Sts/c:Cd") or self._text(entry, "c:Sts")) != "BOOK":
                continue
            amount_minor = self._signed(entry, f"entry {self._number}")
            sum_minor += amount_minor
            lines += self._lines(entry, amount_minor)
        if len(self._faults) == before:
            self._hold_against_balances(statement, sum_minor)
            self._hold_against_summary(statement, entries)
        return lines

    def _text(self, element: Element, path: str) -> str:
        found = element.find(path, self._names)
        return "" if found is None or found.text is None else found.text.strip()

    def _signed(self, element: Element, where: str) -> int:
        """The amount of an entry or a balance, by its direction."""
        sign = _SIGNS.get(self._text(element, "c:CdtDbtInd"))
        if sign is None:
            self._faults.append(f"{where}: neither credit nor debit")
            return 0
        return sign * self._amount(element, where)

    def _amount(self, element: Element, where: str) -> int:
        found = element.find("c:Amt", self._names)
        text = "" if found is None or found.text is None else found.text.strip()
        try:
            amount_minor = parse_minor(text) if "," not in text else -1
        except ValueError:
            amount_minor = -1
        if amount_minor < 0:
            self._faults.append(f"{where}: no amount, or a negative one")
            return 0
        currency = found.get("Ccy", "") if found is not None else ""
        if currency != self._currency:
            self._faults.append(
                f"{where}: the currency is {currency[:16] or 'not said'}, the city's is {self._currency}"
            )
        return amount_minor

    def _day(self, entry: Element) -> str:
        for path in ("c:BookgDt/c:Dt", "c:BookgDt/c:DtTm", "c:ValDt/c:Dt", "c:ValDt/c:DtTm"):
            text = self._text(entry, path)
            try:
                day = datetime.fromisoformat(text).date() if path.endswith("DtTm") else date.fromisoformat(text)
            except ValueError:
                continue
            if 2000 <= day.year <= 2099:
                return day.isoformat()
        self._faults.append(f"entry {self._number}: no date of booking")
        return "2000-01-01"

    def _lines(self, entry: Element, amount_minor: int) -> list[Line]:
        """One line for an entry, or one for each of the payments that it books together."""
        day = self._day(entry)
        details = entry.findall("c:NtryDtls/c:TxDtls", self._names)
        if len(details) < 2:
            return [self._line(entry, details[0] if details else entry, amount_minor, day)]
        sign = -1 if amount_minor < 0 else 1
        lines = [
            self._line(entry, detail, sign * self._detail_amount(detail, f"entry {self._number}"), day)
            for detail in details
        ]
        if sum(line.amount_minor for line in lines) != amount_minor:
            self._faults.append(f"entry {self._number}: its payments do not add up to it")
        return lines

    def _detail_amount(self, detail: Element, where: str) -> int:
        transaction = detail.find("c:AmtDtls/c:TxAmt", self._names)
        return self._amount(detail if transaction is None else transaction, where)

    def _line(self, entry: Element, detail: Element, amount_minor: int, day: str) -> Line:
        # What came in was sent by the debtor, what went out was paid to the creditor.
        other = "Dbtr" if amount_minor >= 0 else "Cdtr"
        party = self._text(detail, f"c:RltdPties/c:{other}/c:Nm") or self._text(
            detail, f"c:RltdPties/c:{other}/c:Pty/c:Nm"
        )
        own = (
            self._text(detail, "c:Refs/c:AcctSvcrRef")
            or self._text(entry, "c:AcctSvcrRef")
            or self._text(entry, "c:NtryRef")
        )
        reference = self._text(detail, "c:Refs/c:EndToEndId")
        text = " ".join(element.text or "" for element in detail.findall("c:RmtInf/c:Ustrd", self._names))
        return Line(
            self._number,
            (own if reference in _NO_REFERENCE else reference)[:REFERENCE_CHARACTERS_MAX],
            SETTLED,
            "credit" if amount_minor >= 0 else "debit",
            amount_minor,
            0,
            self._currency,
            day,
            own_reference=own[:REFERENCE_CHARACTERS_MAX],
            account=self._text(detail, f"c:RltdPties/c:{other}Acct/c:Id/c:IBAN")[:REFERENCE_CHARACTERS_MAX],
            party=party[:TEXT_CHARACTERS_MAX],
            text=text[:TEXT_CHARACTERS_MAX],
        )

    def _balances(self, statement: Element) -> Iterator[tuple[str, int]]:
        for balance in statement.findall("c:Bal", self._names):
            code = self._text(balance, "c:Tp/c:CdOrPrtry/c:Cd")
            if code in {*_OPENING, "CLBD"}:
                yield code, self._signed(balance, f"balance {code}")

    def _hold_against_balances(self, statement: Element, sum_minor: int) -> None:
        balances = dict(self._balances(statement))
        opening = next((balances[code] for code in _OPENING if code in balances), None)
        closing = balances.get("CLBD")
        if opening is None or closing is None:
            self._faults.append("the statement has no opening or no closing balance; ask for it again")
        elif opening + sum_minor != closing:
            self._faults.append(
                f"the opening balance and the entries make {format_minor(opening + sum_minor)}, the closing balance"
                f" is {format_minor(closing)}: an entry is missing or wrong"
            )

    def _hold_against_summary(self, statement: Element, entries: int) -> None:
        said = self._text(statement, "c:TxsSummry/c:TtlNtries/c:NbOfNtries")
        if said and said != str(entries):
            self._faults.append(f"the statement says {said[:16]} entries, there are {entries}")
