"""What can be done about statements: import one, whole or not at all; list those that are there.

A file that is there already is known by its digest. A file of the same party and the same days with other content is a conflict:
somebody must say whether it stands in the place of the first, or is a further part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.network.parties import Parties
from clearing.network.service import city_of, parties_of
from clearing.reconciliation.bank import record_remittances
from clearing.reconciliation.models import StatementLine, StatementRow
from clearing.statements.adapter import Adapter
from clearing.statements.reading import read_statement
from clearing.statements.statement import Line, Statement, StatementError

BANK = "bank"
_LISTED_MAX = 500


@dataclass(frozen=True)
class ImportAsked:
    """A file to import.

    Attributes:
        party: whose it is; may be left out where the city has one party of the kind.
        replaces: number of the statement in whose place it stands.
        is_further: it is a further part for days of which there is a file already.
    """

    city: str
    body: bytes
    adapter: Adapter
    party: str = ""
    replaces: int | None = None
    is_further: bool = False


@dataclass(frozen=True)
class Imported:
    """What became of a file; `remittances` are those that a bank's statement told of for the first time or again."""

    statement: StatementRow
    is_repeated: bool
    notes: tuple[str, ...]
    remittances: int


def import_statement(session: Session, caller: Caller, now_ms: int, asked: ImportAsked) -> Imported:
    """Read and store a counterparty's file.

    Raises:
        InvalidError: with every fault; nothing of the file is stored.
        ConflictError: another file of the same days is there.
    """
    must_reach(caller, "statement.import", asked.city)
    city = city_of(session, asked.city)
    kind, party = asked.adapter.kind, whose(parties_of(session, asked.city), asked.adapter.kind, asked.party)
    try:
        read = read_statement(asked.body, asked.adapter, city.currency, city.zone)
    except StatementError as error:
        raise InvalidError("; ".join(error.faults), "correct the file or its adapter; nothing was stored") from None
    stored = select(StatementRow).filter_by(city=asked.city, kind=kind, party=party)
    repeated = session.scalar(stored.where(StatementRow.sha256 == read.sha256))
    if repeated is not None:
        return Imported(repeated, True, read.notes, 0)
    replaced = _replaced(session, asked, kind, party, read)
    row = _store(session, caller, now_ms, asked, party, read)
    if replaced is not None:
        replaced.replaced_by = row.id
    remittances = record_remittances(session, caller, now_ms, asked.city, read) if kind == BANK else 0
    detail = {"kind": kind, "party": party, "sha256": read.sha256, "lines": len(read.lines), "replaces": asked.replaces}
    record_audit(session, caller.principal_id, now_ms, "statement.import", str(row.id), detail)
    return Imported(row, False, read.notes, remittances)


def whose(parties: Parties, kind: str, named: str) -> str:
    """The code of the party whose statement it is.

    Raises:
        InvalidError: the city has none of that code, or several, or none.
    """
    codes = codes_of(parties, kind)
    if named and named not in codes and codes:
        raise InvalidError(f"the city has no {kind} {named}", f"it has: {', '.join(codes)}")
    if not named and len(codes) > 1:
        raise InvalidError("it is not clear whose statement it is", f"name one of: {', '.join(codes)}")
    return named or (codes[0] if codes else kind)


def codes_of(parties: Parties, kind: str) -> list[str]:
    """Codes of a city's parties of a kind of adapter; a city has one account, and `bank` is its name."""
    members = {
        "acquirer": [parties.acquirer] if parties.acquirer else [],
        "qr_provider": parties.qr_providers,
        "sms_aggregator": parties.sms_aggregators,
        "agent": parties.agents,
    }
    return [BANK] if kind == BANK else [member.code for member in members[kind]]


def _replaced(session: Session, asked: ImportAsked, kind: str, party: str, read: Statement) -> StatementRow | None:
    """The statement in whose place a file stands.

    Raises:
        ConflictError: it says nothing of another file of the same days.
        NotFoundError: the one that it names is not there.
    """
    stored = select(StatementRow).filter_by(city=asked.city, kind=kind, party=party, replaced_by=None)
    if asked.replaces is not None:
        replaced = session.scalar(stored.where(StatementRow.id == asked.replaces))
        if replaced is None:
            raise NotFoundError(
                f"{party} has no statement {asked.replaces} in force", "look: jolaqy reconcile statements"
            )
        return replaced
    same_days = stored.where(StatementRow.first_day == read.first_day, StatementRow.last_day == read.last_day)
    other = session.scalar(same_days.order_by(StatementRow.id).limit(1))
    if other is not None and not asked.is_further:
        raise ConflictError(
            f"statement {other.id} of {party} is of the same days, {read.first_day} to {read.last_day}, with other content",
            f"import it with --replaces {other.id}, or with --further if it is a further part; ask {party} which",
        )
    return None


def _store(
    session: Session, caller: Caller, now_ms: int, asked: ImportAsked, party: str, read: Statement
) -> StatementRow:
    row = StatementRow(
        city=asked.city,
        kind=read.kind,
        party=party,
        adapter=read.adapter,
        sha256=read.sha256,
        first_day=read.first_day,
        last_day=read.last_day,
        lines=len(read.lines),
        total_minor=read.total_minor,
        notes_json=canonical_json({"notes": list(read.notes)}),
        imported_by=caller.principal_id,
        imported_at_ms=now_ms,
    )
    session.add(row)
    session.flush()
    session.execute(insert(StatementLine), [_line_row(row.id, part, line) for part, line in _parts(read.lines)])
    return row


def _parts(lines: Iterable[Line]) -> Iterable[tuple[int, Line]]:
    """Lines, each with its number among those that one entry of a bank's statement became."""
    seen: dict[int, int] = {}
    for line in lines:
        seen[line.number] = seen.get(line.number, -1) + 1
        yield seen[line.number], line


def _line_row(statement_id: int, part: int, line: Line) -> dict[str, object]:
    return {
        "statement_id": statement_id,
        "number": line.number,
        "part": part,
        "reference": line.reference,
        "own_reference": line.own_reference,
        "state": line.state,
        "kind": line.kind,
        "amount_minor": line.amount_minor,
        "fee_minor": line.fee_minor,
        "day": line.day,
        "account": line.account,
        "party": line.party,
        "text": line.text,
    }


def list_statements(session: Session, city: str) -> list[StatementRow]:
    """A city's statements, the newest first."""
    city_of(session, city)
    query = select(StatementRow).where(StatementRow.city == city).order_by(StatementRow.id.desc()).limit(_LISTED_MAX)
    return list(session.scalars(query))
