"""What can be asked about what came in: the day so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.fleet.models import Validator
from clearing.fleet.service import GONE
from clearing.ingest.exceptions import count_open
from clearing.ingest.models import TapRow
from clearing.network.service import city_of
from clearing.network.service_day import day_start_s
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_COMMITTED,
    DECISION_FREE_RIDE_JOURNAL_FULL,
    DECISION_NOT_COMMITTED,
)
from protocol.tap import KIND_OUTCOME, KIND_REFUSED, KIND_SINGLE

_RIDES = (DECISION_ACCEPTED, DECISION_COMMITTED, DECISION_FREE_RIDE_JOURNAL_FULL)

_SILENT_MS = 3_600_000


@dataclass(frozen=True)
class TodayCounts:
    """A city's day so far, as the validators report it.

    Attributes:
        validators: enrolled and in service.
        validators_seen: of those, how many sent something since the day began.
        validators_silent: of those, how many sent nothing during the last hour.
        last_sync_ms: last message of any of them, our clock; absent when there was none.
        taps_by_decision: single taps, refusals and outcomes of debits, by decision code.
        open_exceptions: of this day, not yet resolved.
    """

    validators: int
    validators_seen: int
    validators_silent: int
    last_sync_ms: int | None
    taps_by_decision: dict[int, int]
    open_exceptions: int

    @property
    def accepted(self) -> int:
        """Taps that let a rider ride."""
        return sum(self.accepted_by_decision.values())

    @property
    def refused(self) -> int:
        """Taps that did not."""
        return sum(self.refused_by_decision.values())

    @property
    def accepted_by_decision(self) -> dict[int, int]:
        """Those of `taps_by_decision` that let a rider ride."""
        return {decision: count for decision, count in self.taps_by_decision.items() if decision in _RIDES}

    @property
    def refused_by_decision(self) -> dict[int, int]:
        """Those that did not. A debit found out later not to have been made was counted when it was torn."""
        return {
            decision: count
            for decision, count in self.taps_by_decision.items()
            if decision not in _RIDES and decision != DECISION_NOT_COMMITTED
        }


def today_counts(session: Session, city: str, day: str, now_ms: int) -> TodayCounts:
    """Count a city's service day so far."""
    start_ms = day_start_s(city_of(session, city).zone, day) * 1000
    validators, seen, heard, last_sync_ms = session.execute(
        select(
            func.count(),
            func.count().filter(Validator.last_seen_ms >= start_ms),
            func.count().filter(Validator.last_seen_ms > now_ms - _SILENT_MS),
            func.max(Validator.last_seen_ms),
        ).where(Validator.city == city, Validator.status.not_in(GONE))
    ).one()
    by_kind = session.execute(
        select(TapRow.kind, TapRow.decision, func.count())
        .where(TapRow.city == city, TapRow.service_day == day, TapRow.test.is_(False))
        .where(TapRow.kind.in_((KIND_SINGLE, KIND_REFUSED, KIND_OUTCOME)))
        .group_by(TapRow.kind, TapRow.decision)
    )
    by_decision: Counter[int] = Counter()
    for _kind, decision, count in by_kind:
        by_decision[DECISION_ACCEPTED if decision is None else decision] += count
    return TodayCounts(
        validators=validators,
        validators_seen=seen,
        validators_silent=validators - heard,
        last_sync_ms=last_sync_ms,
        taps_by_decision=dict(sorted(by_decision.items())),
        open_exceptions=count_open(session, city, day),
    )
