"""Re-basing in the transaction of a batch: fresh records get their moments, stored ones of the same start get better ones.

A stored tap may so move to another service day. Both days are then marked, and what was closed of them is closed once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from clearing.fleet.models import Validator
from clearing.ingest.evidence import add_exceptions
from clearing.ingest.models import DirtyDay, TapException, TapRow
from clearing.ingest.rebase import Rebased, Stamp, is_poor, rebase, starts
from clearing.ingest.rows import UNREADABLE, counted_at_s, exception_row
from clearing.ingest.run import Placed
from clearing.ingest.suspicion import CLOCK_REASONS, MONEY_KINDS, Suspicion
from clearing.network.service_day import service_day
from protocol.tap import KIND_CLOCK_STEP, KIND_LOST_RANGE

# No start has so many records that its first ones would wait behind them for the time.
RECORDS_LOOKED_BACK = 4096
_SERVICE = "service"
_Row = Any  # a row of these columns
_COLUMNS = (
    TapRow.sequence,
    TapRow.kind,
    TapRow.tapped_at_s,
    TapRow.clock_quality,
    TapRow.uptime_ms,
    TapRow.boot,
    TapRow.received_at_ms,
    TapRow.rebased_at_s,
    TapRow.service_day,
)
_STORED = (
    select(*_COLUMNS)
    .where(TapRow.device_id == bindparam("device"), TapRow.epoch == bindparam("epoch"))
    .where(TapRow.sequence.between(bindparam("first"), bindparam("last")))
    .where(TapRow.kind.not_in((UNREADABLE, KIND_LOST_RANGE)))
    .order_by(TapRow.sequence)
)


def settle(
    session: Session, validator: Validator, zone: str, fresh: Sequence[Placed], now_ms: int
) -> Mapping[int, int]:
    """Re-base what can be: returns the moments of fresh records by sequence, and corrects stored ones.

    The validator must still say how far its last start was stored.
    """
    stamps = [_fresh_stamp(each, now_ms // 1000) for each in fresh if each.tap is not None]
    stamps = [stamp for stamp in stamps if stamp.kind != KIND_LOST_RANGE]
    if not stamps:
        return {}
    goes_on = validator.boot is not None and stamps[0].goes_on_from(_last(validator))
    stored = _stored(session, validator) if goes_on and _touches_stored(validator, stamps) else []
    everything = [*map(_stored_stamp, stored), *stamps]
    moments: dict[int, int] = {}
    last_start: Sequence[Stamp] = ()
    last = Rebased({}, is_settled=True)
    for last_start in starts(everything):
        last = rebase(last_start)
        moments |= last.moments
    validator.boot_unsettled = not last.is_settled
    if not goes_on or last_start[0].sequence > everything[0].sequence:
        validator.boot_first_sequence = last_start[0].sequence
    _correct(session, validator, zone, stored, moments, now_ms)
    return moments


def _last(validator: Validator) -> Stamp:
    """The last stored record, as far as it says where a start goes on."""
    return Stamp(validator.acked_sequence, 0, 0, 0, validator.uptime_ms or 0, validator.boot or 0, 0)


def _touches_stored(validator: Validator, stamps: Sequence[Stamp]) -> bool:
    """Whether fresh records can tell stored ones the time, or need to be told it by them."""
    first = next(starts(stamps))
    return validator.boot_unsettled or any(
        stamp.kind == KIND_CLOCK_STEP or is_poor(stamp, is_set_later=False) for stamp in first
    )


def _stored(session: Session, validator: Validator) -> Sequence[_Row]:
    last = validator.acked_sequence
    first = max(validator.boot_first_sequence or 1, last - RECORDS_LOOKED_BACK + 1)
    place = {"device": validator.device_id, "epoch": validator.epoch, "first": first, "last": last}
    return session.execute(_STORED, place).all()


def _fresh_stamp(placed: Placed, received_s: int) -> Stamp:
    tap = placed.tap
    assert tap is not None
    return Stamp(placed.sequence, tap.kind, tap.tapped_at_s, tap.clock_quality, tap.uptime_ms, tap.boot, received_s)


def _stored_stamp(row: _Row) -> Stamp:
    return Stamp(
        row.sequence, row.kind, row.tapped_at_s, row.clock_quality, row.uptime_ms, row.boot, row.received_at_ms // 1000
    )


def _correct(
    session: Session,
    validator: Validator,
    zone: str,
    stored: Sequence[_Row],
    moments: Mapping[int, int],
    now_ms: int,
) -> None:
    """Give stored records their new moments and days, and note what that moves."""
    changed = [row for row in stored if moments.get(row.sequence) != row.rebased_at_s]
    if not changed:
        return
    key = {"device_id": validator.device_id, "epoch": validator.epoch}
    updates, moved, days = [], [], set()
    for row in changed:
        moment_s = moments.get(row.sequence)
        received_s = row.received_at_ms // 1000
        day = service_day(zone, counted_at_s(row.clock_quality, row.tapped_at_s, moment_s, received_s))
        updates.append(key | {"sequence": row.sequence, "rebased_at_s": moment_s, "service_day": day})
        if day != row.service_day:
            days |= {day, row.service_day}
            if row.kind in MONEY_KINDS:
                moved.append(_moved(validator, row, day, now_ms))
    session.execute(update(TapRow), updates)
    _resolve_clock(session, validator, [row.sequence for row in changed if row.sequence in moments], now_ms)
    add_exceptions(session, validator, moved)
    for day in sorted(days):
        mark_dirty(session, validator.city, day)


def _moved(validator: Validator, row: _Row, day: str, now_ms: int) -> dict[str, Any]:
    detail = f"the validator learnt the time later: this record belongs to {day}, not to {row.service_day}"
    return exception_row(validator, row.sequence, Suspicion("day_moved", detail), row.service_day, now_ms)


def _resolve_clock(session: Session, validator: Validator, sequences: Sequence[int], now_ms: int) -> None:
    """What was on the exceptions list because of the clock has settled itself."""
    change = update(TapException).where(
        TapException.device_id == validator.device_id,
        TapException.epoch == validator.epoch,
        TapException.sequence.in_(sequences),
        TapException.reason.in_(CLOCK_REASONS),
        TapException.resolved_at_ms.is_(None),
    )
    note = "a later record of the same start knew the time"
    session.execute(change.values(resolved_at_ms=now_ms, resolved_by=_SERVICE, resolution=note))


def mark_dirty(session: Session, city: str, day: str) -> None:
    """Mark a day whose taps have moved."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    mark = insert(DirtyDay).values(city=city, service_day=day, marks=1)
    session.execute(
        mark.on_conflict_do_update(index_elements=["city", "service_day"], set_={"marks": DirtyDay.marks + 1})
    )


def dirty_days(session: Session, city: str) -> dict[str, int]:
    """The marked days of a city, with how often they were marked."""
    rows = session.scalars(select(DirtyDay).where(DirtyDay.city == city))
    return {row.service_day: row.marks for row in rows}


def clean(session: Session, city: str, day: str, marks: int) -> None:
    """Remove a mark, unless the day was marked once more."""
    session.execute(delete(DirtyDay).where(DirtyDay.city == city, DirtyDay.service_day == day, DirtyDay.marks == marks))
