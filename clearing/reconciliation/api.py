"""HTTP of reconciliation: statements, runs, breaks, cash, lost taps."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.channels.money_api import adapter_or_refuse
from clearing.endpoint import ClockOf, DatabaseOf, Day, Number
from clearing.reconciliation.breaks import (
    NOTE_CHARACTERS_MAX,
    PAGE_MAX,
    Asked,
    assign,
    at_risk_minor,
    explain,
    list_breaks,
    resolve_by_adjustment,
    show_break,
)
from clearing.reconciliation.cash import cash_of_day
from clearing.reconciliation.importing import ImportAsked, Imported, import_statement, list_statements
from clearing.reconciliation.lost_taps import LostTaps, lost_taps
from clearing.reconciliation.models import StatementRow
from clearing.reconciliation.service import RunResult, run

router = APIRouter(prefix="/v1")

_WORD = Annotated[str | None, Query(max_length=32)]


class RunAsked(BaseModel):
    """As of the end of which service day to reconcile."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=32)
    day: Day


class Assigned(BaseModel):
    """Who shall work on a break, by name."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=1, max_length=64)


class Explained(BaseModel):
    """Why a difference is none, or is borne."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(min_length=1, max_length=NOTE_CHARACTERS_MAX)


class Resolved(BaseModel):
    """By which adjustment a difference was booked."""

    model_config = ConfigDict(extra="forbid")

    entry_key: str = Field(min_length=1, max_length=300)
    note: str = Field(min_length=1, max_length=NOTE_CHARACTERS_MAX)


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post("/statements", status_code=201)
def receive_statement(
    body: Annotated[bytes, Depends(_body)],
    caller: Annotated[Caller, Depends(require("statement.import"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: Annotated[str, Query(max_length=32)],
    adapter: Annotated[str, Query(max_length=64)],
    party: Annotated[str, Query(max_length=32)] = "",
    replaces: Annotated[int | None, Query(ge=1, le=1 << 62)] = None,
    further: bool = False,
) -> dict[str, Any]:
    """Import a counterparty's file: it is the body. Larger ones go by `jolaqy reconcile import`."""
    asked = ImportAsked(city, body, adapter_or_refuse(adapter), party, replaces, further)
    with database.writing() as session:
        return imported_as_dict(import_statement(session, caller, clock.now_ms(), asked))


def imported_as_dict(imported: Imported) -> dict[str, Any]:
    """What became of a file, for JSON."""
    return statement_as_dict(imported.statement) | {
        "is_repeated": imported.is_repeated,
        "remittances": imported.remittances,
    }


def statement_as_dict(row: StatementRow) -> dict[str, Any]:
    """A statement for JSON."""
    return {
        "number": row.id,
        "kind": row.kind,
        "party": row.party,
        "adapter": row.adapter,
        "sha256": row.sha256,
        "first_day": row.first_day,
        "last_day": row.last_day,
        "lines": row.lines,
        "total_minor": row.total_minor,
        "replaced_by": row.replaced_by,
        "imported_at_ms": row.imported_at_ms,
        "notes": json.loads(row.notes_json)["notes"],
    }


@router.get("/statements")
def read_statements(
    _caller: Annotated[Caller, Depends(require("break.read"))], database: DatabaseOf, city: str
) -> dict[str, Any]:
    with database.reading() as session:
        return {"statements": [statement_as_dict(row) for row in list_statements(session, city)]}


@router.post("/reconciliations")
def reconcile(
    asked: RunAsked,
    caller: Annotated[Caller, Depends(require("reconcile.run"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        return result_as_dict(run(session, caller, clock.now_ms(), asked.city, asked.day))


def result_as_dict(result: RunResult) -> dict[str, Any]:
    """What a run found, for JSON."""
    return asdict(result) | {"opened": result.opened, "vanished": result.vanished}


@router.get("/breaks")
def read_breaks(
    _caller: Annotated[Caller, Depends(require("break.read"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: Annotated[str, Query(max_length=32)],
    state: _WORD = None,
    kind: _WORD = None,
    party: _WORD = None,
    after: Annotated[int, Query(ge=0, le=1 << 62)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
) -> dict[str, Any]:
    with database.reading() as session:
        breaks = list_breaks(session, Asked(city, state, kind, party, after, limit), clock.now_ms())
        return {"at_risk_minor": at_risk_minor(session, city), "breaks": [asdict(each) for each in breaks]}


@router.get("/breaks/{number}")
def read_break(
    number: Number, caller: Annotated[Caller, Depends(require("break.read"))], database: DatabaseOf, clock: ClockOf
) -> dict[str, Any]:
    with database.reading() as session:
        shown = show_break(session, number, clock.now_ms())
    must_reach(caller, "break.read", shown.city)
    return asdict(shown)


@router.post("/breaks/{number}/assign")
def assign_break(
    number: Number,
    assigned: Assigned,
    caller: Annotated[Caller, Depends(require("break.work"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        return asdict(assign(session, caller, clock.now_ms(), number, assigned.to))


@router.post("/breaks/{number}/explain")
def explain_break(
    number: Number,
    explained: Explained,
    caller: Annotated[Caller, Depends(require("break.work"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        return asdict(explain(session, caller, clock.now_ms(), number, explained.note))


@router.post("/breaks/{number}/resolve")
def resolve_break(
    number: Number,
    resolved: Resolved,
    caller: Annotated[Caller, Depends(require("break.work"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        now_ms = clock.now_ms()
        return asdict(resolve_by_adjustment(session, caller, now_ms, number, resolved.entry_key, resolved.note))


@router.get("/cash")
def read_cash(
    _caller: Annotated[Caller, Depends(require("channel.read"))], database: DatabaseOf, city: str, day: Day
) -> dict[str, Any]:
    """Cash by carrier: by the button, counted, banked."""
    with database.reading() as session:
        return {"day": day, "carriers": [asdict(each) for each in cash_of_day(session, city, day)]}


@router.get("/lost-taps")
def read_lost_taps(
    _caller: Annotated[Caller, Depends(require("break.read"))],
    database: DatabaseOf,
    city: str,
    first_day: Day,
    last_day: Day,
) -> dict[str, Any]:
    with database.reading() as session:
        return lost_as_dict(lost_taps(session, city, first_day, last_day))


def lost_as_dict(report: LostTaps) -> dict[str, Any]:
    """The two-witness report for JSON."""
    value = asdict(report)
    value["validators"] = [asdict(each) | {"lost": each.lost, "ppm": each.ppm} for each in report.validators]
    return value | {
        "records": report.records,
        "lost": report.lost,
        "ppm": report.ppm,
        "at_risk_minor": report.at_risk_minor,
        "commits_ppm": report.commits_ppm,
    }
