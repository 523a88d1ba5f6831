"""Registers of agents: files that list top-ups they have taken. One fault, and nothing of the file is taken in.

What an agent has told over HTTP and lists again under the same reference counts once; the same file again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.models import Principal
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.channels.models import Register, TopUp
from clearing.channels.service import CLOCK_TOLERANCE_S, digest, tell_late
from clearing.endpoint import InvalidError
from clearing.money import format_minor
from clearing.network.models import City
from clearing.network.service import city_of, parties_of
from clearing.network.service_day import service_day
from clearing.statements.adapter import Adapter
from clearing.statements.reading import read_statement
from clearing.statements.statement import Line, Statement, StatementError

TOP_UP_MINOR_MAX = 10_000_000_00
_AT_ONCE = 500


@dataclass(frozen=True)
class Taken:
    """What became of a register; `is_repeated` when the same file was there already."""

    register: Register
    is_repeated: bool
    notes: tuple[str, ...]


def take_register(
    session: Session, caller: Caller, now_ms: int, city: str, agent: Principal, body: bytes, adapter: Adapter
) -> Taken:
    """Take in a register: an agent's own, or one that an operator was sent.

    Raises:
        InvalidError: with every fault; nothing of the file is taken in.
    """
    must_reach(caller, "top_up.receive", city)
    place = city_of(session, city)
    if adapter.kind != "agent":
        raise InvalidError(f"the adapter {adapter.name} reads no registers of agents", "name one that does: agent")
    try:
        statement = read_statement(body, adapter, place.currency, place.zone)
        same = select(Register).filter_by(city=city, agent=agent.id, sha256=statement.sha256)
        if (repeated := session.scalar(same)) is not None:
            return Taken(repeated, True, statement.notes)
        fresh = _fresh(session, place, agent, statement, now_ms)
    except StatementError as error:
        raise InvalidError(
            "; ".join(error.faults), "correct the file, and send it whole; nothing was taken in"
        ) from None
    session.add_all(fresh)
    register = Register(
        city=city,
        agent=agent.id,
        sha256=statement.sha256,
        top_ups=len(statement.lines),
        top_ups_minor=statement.total_minor,
        added=len(fresh),
        taken_by=caller.principal_id,
        received_at_ms=now_ms,
    )
    session.add(register)
    session.flush()
    for day in sorted({top_up.service_day for top_up in fresh}):
        tell_late(session, place, day, now_ms)
    detail = {"agent": agent.name, "sha256": statement.sha256, "top_ups": register.top_ups, "added": register.added}
    record_audit(session, caller.principal_id, now_ms, "register.take", str(register.id), detail)
    return Taken(register, False, statement.notes)


def _fresh(session: Session, city: City, agent: Principal, statement: Statement, now_ms: int) -> list[TopUp]:
    """The top-ups of a register that are not known yet.

    Raises:
        StatementError: what it lists cannot be, or is not what the agent has told before.
    """
    faults = list(_faults_of_lines(session, city.code, agent.name, statement.lines, now_ms))
    if faults:
        raise StatementError(faults)
    top_ups = [_top_up(city, agent, line, now_ms) for line in statement.lines]
    known = _known(session, agent, [top_up.reference for top_up in top_ups])
    fresh = []
    for top_up, line in zip(top_ups, statement.lines, strict=True):
        stored = known.get(top_up.reference)
        if stored is None:
            fresh.append(top_up)
        elif stored != top_up.body_sha256:
            faults.append(f"line {line.number}: {line.reference} was told before as another top-up")
    if faults:
        raise StatementError(faults)
    return fresh


def _faults_of_lines(session: Session, city: str, name: str, lines: Sequence[Line], now_ms: int) -> Iterator[str]:
    agent = parties_of(session, city).agent(name)
    least_minor = 1 if agent is None else max(1, agent.top_up_minimum_minor)
    most_minor = TOP_UP_MINOR_MAX if agent is None else agent.top_up_maximum_minor
    seen: set[str] = set()
    for line in lines:
        if not line.reference:
            yield f"line {line.number}: no reference"
        elif line.reference in seen:
            yield f"line {line.number}: the reference {line.reference} stands there twice"
        seen.add(line.reference)
        if not least_minor <= line.amount_minor <= most_minor:
            bounds = f"{format_minor(least_minor)} to {format_minor(most_minor)}"
            yield f"line {line.number}: {format_minor(line.amount_minor)} is no top-up; one has {bounds}"
        if line.at_s is None:
            yield f"line {line.number}: a top-up has a time, not only a day"
        elif line.at_s > now_ms // 1000 + CLOCK_TOLERANCE_S:
            yield f"line {line.number}: it lies in the future"


def _top_up(city: City, agent: Principal, line: Line, now_ms: int) -> TopUp:
    assert line.at_s is not None
    return TopUp(
        agent=agent.id,
        reference=line.reference,
        body_sha256=digest(token=line.token, amount_minor=line.amount_minor, at_s=line.at_s),
        city=city.code,
        token=bytes.fromhex(line.token),
        amount_minor=line.amount_minor,
        at_s=line.at_s,
        service_day=service_day(city.zone, line.at_s),
        received_at_ms=now_ms,
    )


def _known(session: Session, agent: Principal, references: Sequence[str]) -> dict[str, bytes]:
    """Digests of the agent's top-ups that are stored, by reference."""
    known: dict[str, bytes] = {}
    for start in range(0, len(references), _AT_ONCE):
        some = references[start : start + _AT_ONCE]
        rows = session.execute(
            select(TopUp.reference, TopUp.body_sha256).where(TopUp.agent == agent.id, TopUp.reference.in_(some))
        )
        known |= dict(rows.all())
    return known
