"""What can be done about breaks: keep the list in step with what was found, show it, work it off.

The same difference found again is the same break. One that is found no more has vanished by itself: a later file or tap has ended
it; should it come back, it is opened again. What a person has said of a break stays said: a break that was explained or adjusted
is not opened again, unless its amount has changed. Who did what stands in its history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.channels.senders import find_principal, principal_name
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.ledger.models import EntryRow
from clearing.reconciliation.causes import meaning, remedy
from clearing.reconciliation.models import Break, BreakEvent

OPEN = "open"
ASSIGNED = "assigned"
EXPLAINED = "explained"
ADJUSTED = "adjusted"
VANISHED = "vanished"
STATES = (OPEN, ASSIGNED, EXPLAINED, ADJUSTED, VANISHED)
# Money is at risk while nobody has said what the difference is.
AT_RISK = (OPEN, ASSIGNED)
NOTE_CHARACTERS_MAX = 500
PAGE_MAX = 500
_SERVICE = "service"
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Found:
    """A difference as reconciliation finds it.

    Attributes:
        break_key: what makes it one.
        amount_minor: signed: positive is more with the other side.
    """

    kind: str
    party: str
    break_key: str
    category: str
    cause: str
    reference: str
    day: str
    amount_minor: int


@dataclass(frozen=True)
class Scope:
    """What was looked at: a break of these that is not found any more has vanished."""

    city: str
    kind: str
    party: str
    first_day: str
    last_day: str


@dataclass(frozen=True)
class Changes:
    """What became of the list."""

    opened: int
    vanished: int


@dataclass(frozen=True)
class BreakView:
    """A break as it is shown.

    Attributes:
        age_days: since it was opened.
        meaning, remedy: of its probable cause, in words.
        history: moment, event, name and note, oldest first.
    """

    number: int
    city: str
    kind: str
    party: str
    category: str
    cause: str
    meaning: str
    remedy: str
    reference: str
    day: str
    amount_minor: int
    state: str
    owner: str | None
    entry_key: str | None
    opened_at_ms: int
    age_days: int
    history: tuple[tuple[int, str, str, str], ...]


@dataclass(frozen=True)
class Asked:
    """Which breaks somebody wants to see; what is absent does not matter. `after` is the number of the last one seen."""

    city: str
    state: str | None = None
    kind: str | None = None
    party: str | None = None
    after: int = 0
    limit: int = PAGE_MAX


def keep_in_step(session: Session, scope: Scope, found: Iterable[Found], now_ms: int) -> Changes:
    """Bring the list of breaks into step with what was found; doing it again changes nothing."""
    rows = session.scalars(
        select(Break).where(
            Break.city == scope.city,
            Break.kind == scope.kind,
            Break.party == scope.party,
            Break.day.between(scope.first_day, scope.last_day),
        )
    )
    known = {row.break_key: row for row in rows}
    opened = 0
    for each in found:
        row = known.pop(each.break_key, None)
        if row is None:
            _open(session, scope.city, each, now_ms)
            opened += 1
        else:
            opened += _found_again(session, row, each, now_ms)
    gone = [row for row in known.values() if row.state in AT_RISK]
    for row in gone:
        _tell(session, row, VANISHED, _SERVICE, "", now_ms)
        row.state = VANISHED
    session.flush()
    return Changes(opened, len(gone))


def _open(session: Session, city: str, found: Found, now_ms: int) -> None:
    assert meaning(found.cause)
    row = Break(city=city, **vars(found), state=OPEN, opened_at_ms=now_ms, changed_at_ms=now_ms)
    session.add(row)
    session.flush()
    _tell(session, row, "opened", _SERVICE, "", now_ms)


def _found_again(session: Session, row: Break, found: Found, now_ms: int) -> bool:
    """The same difference once more; true when it is open again."""
    has_changed = row.amount_minor != found.amount_minor
    if has_changed:
        _tell(session, row, "amount", _SERVICE, f"{row.amount_minor} to {found.amount_minor} tiyn", now_ms)
        row.amount_minor = found.amount_minor
    if row.state == VANISHED or (has_changed and row.state not in AT_RISK):
        _tell(session, row, "reopened", _SERVICE, "", now_ms)
        row.state, row.entry_key = OPEN, None
        return True
    return False


def _tell(session: Session, row: Break, event: str, by: str, note: str, now_ms: int) -> None:
    session.add(BreakEvent(break_id=row.id, at_ms=now_ms, event=event, by=by, note=note))
    row.changed_at_ms = now_ms


def list_breaks(session: Session, asked: Asked, now_ms: int) -> list[BreakView]:
    """Breaks of a city in the order in which they were opened, without their history."""
    query = select(Break).where(Break.city == asked.city, Break.id > asked.after)
    for column, value in ((Break.state, asked.state), (Break.kind, asked.kind), (Break.party, asked.party)):
        if value is not None:
            query = query.where(column == value)
    rows = session.scalars(query.order_by(Break.id).limit(min(asked.limit, PAGE_MAX)))
    return [_view(session, row, (), now_ms) for row in rows]


def at_risk_minor(session: Session, city: str) -> int:
    """The money of all breaks that nobody has explained, without regard to its direction."""
    total = select(func.coalesce(func.sum(func.abs(Break.amount_minor)), 0))
    return int(session.scalar(total.where(Break.city == city, Break.state.in_(AT_RISK))) or 0)


def show_break(session: Session, number: int, now_ms: int) -> BreakView:
    """A break with its history.

    Raises:
        NotFoundError: there is none of that number.
    """
    row = _find(session, number)
    events: Sequence[BreakEvent] = session.scalars(
        select(BreakEvent).where(BreakEvent.break_id == number).order_by(BreakEvent.id)
    ).all()
    return _view(session, row, tuple((each.at_ms, each.event, each.by, each.note) for each in events), now_ms)


def _find(session: Session, number: int, *, to_change: bool = False) -> Break:
    row = session.get(Break, number, with_for_update=to_change)
    if row is None:
        raise NotFoundError(f"there is no break {number}", "look them up: jolaqy breaks list")
    return row


def _view(session: Session, row: Break, history: tuple[tuple[int, str, str, str], ...], now_ms: int) -> BreakView:
    return BreakView(
        number=row.id,
        city=row.city,
        kind=row.kind,
        party=row.party,
        category=row.category,
        cause=row.cause,
        meaning=meaning(row.cause),
        remedy=remedy(row.cause),
        reference=row.reference,
        day=row.day,
        amount_minor=row.amount_minor,
        state=row.state,
        owner=None if row.owner is None else principal_name(session, row.owner),
        entry_key=row.entry_key,
        opened_at_ms=row.opened_at_ms,
        age_days=max(0, now_ms - row.opened_at_ms) // _DAY_MS,
        history=history,
    )


def assign(session: Session, caller: Caller, now_ms: int, number: int, to: str) -> BreakView:
    """Let somebody work on a break.

    Raises:
        ConflictError: it is over.
    """
    row = _to_change(session, caller, number)
    owner = find_principal(session, to)
    row.owner, row.state = owner.id, ASSIGNED
    return _changed(session, caller, now_ms, row, ASSIGNED, to)


def explain(session: Session, caller: Caller, now_ms: int, number: int, note: str) -> BreakView:
    """Say why a difference is none, or is borne as it is.

    Raises:
        InvalidError: nothing is said.
        ConflictError: it is over.
    """
    row = _to_change(session, caller, number)
    row.state = EXPLAINED
    return _changed(session, caller, now_ms, row, EXPLAINED, _said(note))


def resolve_by_adjustment(
    session: Session, caller: Caller, now_ms: int, number: int, entry_key: str, note: str
) -> BreakView:
    """Say by which adjustment a difference was booked; that had its two persons, and must be in the books of the city.

    Raises:
        InvalidError: there is no such entry, or it is no adjustment.
        ConflictError: the break is over.
    """
    row = _to_change(session, caller, number)
    entry = session.scalar(select(EntryRow).where(EntryRow.entry_key == entry_key, EntryRow.city == row.city))
    if entry is None or not entry_key.startswith(f"adjustment/{row.city}/"):
        raise InvalidError(f"{entry_key[:100]} is no adjustment in the books of {row.city}", "have one approved first")
    row.state, row.entry_key = ADJUSTED, entry_key
    return _changed(session, caller, now_ms, row, ADJUSTED, _said(note))


def _said(note: str) -> str:
    note = note.strip()
    if not 0 < len(note) <= NOTE_CHARACTERS_MAX:
        raise InvalidError(f"a note has 1 to {NOTE_CHARACTERS_MAX} characters", "say what came out of it")
    return note


def _to_change(session: Session, caller: Caller, number: int) -> Break:
    row = _find(session, number, to_change=True)
    must_reach(caller, "break.work", row.city)
    if row.state not in AT_RISK:
        raise ConflictError(f"break {number} is {row.state}", "its history says by whom")
    return row


def _changed(session: Session, caller: Caller, now_ms: int, row: Break, event: str, note: str) -> BreakView:
    _tell(session, row, event, caller.name, note, now_ms)
    session.flush()
    detail = {"note": note, "amount_minor": row.amount_minor, "entry_key": row.entry_key}
    record_audit(session, caller.principal_id, now_ms, f"break.{event}", str(row.id), detail)
    return show_break(session, row.id, now_ms)
