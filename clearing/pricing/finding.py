"""From records and payments to rides: what pricing knows of each ride of some days, and the debits whose end nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from clearing.fleet.documents import WIRE_MEDIA
from clearing.ingest.codes import CODE_MEDIA
from clearing.ingest.models import TapRow
from clearing.ingest.rows import counted_at_s
from clearing.ingest.suspicion import clock_is_usable
from clearing.network.package import ADULT
from clearing.network.tariff_rules import TapOff
from clearing.pricing.alighting import Held, alighted
from clearing.pricing.facts import RideFacts, doubt_of
from clearing.pricing.gathering import TAP_COLUMNS, Days, Part, Payment, Reach, Tap, parts_of, untold_outcomes
from clearing.pricing.rides import Key, Record, is_ride_by_itself, sort_out
from clearing.pricing.walk import Before
from protocol.decisions import DECISION_COMMITTED, DECISION_NOT_COMMITTED
from protocol.tap import KIND_INTENT, KIND_OFF, KIND_OUTCOME, KIND_SINGLE, KIND_TOP_UP

MEDIA_BY_WIRE = {code: name for name, code in WIRE_MEDIA.items()}
_CARDS_AT_ONCE = 1000
_TAP = "tap"


@dataclass(frozen=True)
class FoundRides:
    """The rides of some media.

    Attributes:
        unknown: debits of which nobody knows whether the card committed them.
        before: what fares of earlier days say of the same media.
        records: how many records they were found in.
    """

    rides: list[RideFacts]
    unknown: list[RideFacts]
    before: list[Before]
    records: int


def find_rides(session: Session, city: str, days: Days, reach: Reach, tap_off: TapOff | None) -> Iterator[FoundRides]:
    """The rides of some days, some media at a time; `tap_off` is the rule by which media are held twice."""
    outcomes = [_record(tap) for tap in untold_outcomes(session, city, days)]
    for part in parts_of(session, city, days, reach):
        taps = [tap for tap in part.taps if days.hold(tap.service_day)]
        others = [tap for tap in taps if not _is_ride_by_itself(tap)]
        witnesses = [*_witnesses(session, city, days, others), *_other_taps_by_codes(session, city, days, others)]
        sorted_out = sort_out(map(_record, others), [*outcomes, *witnesses])
        ends = _ends(part, tap_off)
        rides = [
            _tap_facts(tap, ends.get(tap.key)) for tap in taps if _is_ride_by_itself(tap) or tap.key in sorted_out.rides
        ]
        rides += map(_paid_facts, part.payments)
        unknown = [_tap_facts(tap, None) for tap in others if tap.key in sorted_out.unknown]
        met = {ride.token for ride in rides}
        yield FoundRides(rides, unknown, [each for each in part.before if each.token in met], len(taps))


def _ends(part: Part, tap_off: TapOff | None) -> Mapping[Key, int]:
    if tap_off is None:
        return {}
    held = [
        (tap.kind, Held(tap.key, tap.token, tap.vehicle, _counted_s(tap), tap.stop)) for tap in part.taps if tap.token
    ]
    boardings = [each for kind, each in held if kind != KIND_OFF]
    return alighted(boardings, [each for kind, each in held if kind == KIND_OFF], tap_off.within_s)


def _is_ride_by_itself(tap: Tap) -> bool:
    return is_ride_by_itself(tap.kind, tap.decision, test=tap.test, is_code=tap.medium in CODE_MEDIA)


def _is_usable(tap: Tap) -> bool:
    return clock_is_usable(tap.clock_quality, tap.tapped_at_s, tap.received_at_ms // 1000)


def _record(tap: Tap) -> Record:
    return Record(
        tap.key,
        tap.kind,
        tap.decision,
        tap.token,
        tap.card_counter,
        tap.reference_first,
        _moment_s(tap),
        tap.rebased_at_s is not None or _is_usable(tap),
        tap.test,
        tap.medium in CODE_MEDIA,
    )


def _moment_s(tap: Tap) -> int:
    """When it was, as well as anybody knows."""
    return int(tap.tapped_at_s if tap.rebased_at_s is None else tap.rebased_at_s)


def _counted_s(tap: Tap) -> int:
    """The moment that counts, which is when it came where nobody knew the time."""
    return counted_at_s(tap.clock_quality, tap.tapped_at_s, tap.rebased_at_s, tap.received_at_ms // 1000)


def _elsewhere(days: Days) -> ColumnElement[bool]:
    return or_(TapRow.service_day < days.first, TapRow.service_day > days.last)


def _witnesses(session: Session, city: str, days: Days, taps: Sequence[Tap]) -> Iterator[Record]:
    """Records of other days that can prove how a debit of these ended: outcomes, and other debits of the same cards."""
    ended = {
        (tap.device_id, tap.epoch, tap.reference_first)
        for tap in taps
        if tap.kind == KIND_OUTCOME and tap.decision in {DECISION_COMMITTED, DECISION_NOT_COMMITTED}
    }
    intents = [tap for tap in taps if tap.kind == KIND_INTENT]
    tokens = sorted({tap.token for tap in intents if tap.token is not None and tap.key not in ended})
    for some in _chunks(tokens):
        found = session.execute(
            select(*TAP_COLUMNS)
            .where(TapRow.city == city, _elsewhere(days), TapRow.token.in_(some))
            .where(TapRow.kind.in_((KIND_INTENT, KIND_OUTCOME, KIND_TOP_UP)))
        )
        yield from (_record(Tap._make(row)) for row in found)


def _other_taps_by_codes(session: Session, city: str, days: Days, taps: Sequence[Tap]) -> Iterator[Record]:
    """Records of other days by the codes that passed on these: a code may pass on both sides of a day's boundary."""
    codes = [(tap.token, tap.card_counter) for tap in taps if tap.medium in CODE_MEDIA and tap.token is not None]
    counters = [counter for _, counter in codes if counter is not None]
    for some in _chunks(sorted({token for token, counter in codes if counter is not None})):
        found = session.execute(
            select(*TAP_COLUMNS)
            .where(TapRow.city == city, _elsewhere(days), TapRow.token.in_(some), TapRow.kind == KIND_SINGLE)
            .where(TapRow.card_counter.between(min(counters), max(counters)))
        )
        yield from (_record(Tap._make(row)) for row in found)


def _chunks(tokens: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (tokens[start : start + _CARDS_AT_ONCE] for start in range(0, len(tokens), _CARDS_AT_ONCE))


def _tap_facts(tap: Tap, off_stop: int | None) -> RideFacts:
    before_s, after_s = doubt_of(tap.clock_quality, _is_usable(tap), tap.rebased_at_s is not None)
    return RideFacts(
        source=_TAP,
        source_key=f"{tap.device_id.hex()}/{tap.epoch}/{tap.sequence}",
        device_id=tap.device_id,
        epoch=tap.epoch,
        sequence=tap.sequence,
        day=tap.service_day,
        carrier=tap.carrier,
        vehicle=tap.vehicle,
        line=tap.line,
        stop=tap.stop,
        off_stop=off_stop,
        medium=MEDIA_BY_WIRE.get(tap.medium or 0, "other"),
        category=tap.category or ADULT,
        token=tap.token,
        ridden_at_s=_moment_s(tap),
        at_s=_counted_s(tap),
        before_s=before_s,
        after_s=after_s,
        taken_minor=tap.fare_minor or 0,
        product=tap.product,
    )


def _paid_facts(payment: Payment) -> RideFacts:
    ride = payment.ride
    return RideFacts(
        source=ride.source,
        source_key=ride.source_key,
        device_id=None,
        epoch=None,
        sequence=None,
        day=payment.day,
        carrier=ride.carrier,
        vehicle=ride.vehicle,
        line=ride.line,
        stop=None,
        off_stop=None,
        medium=ride.medium,
        category=ADULT,
        token=ride.token,
        ridden_at_s=ride.paid_at_s,
        at_s=ride.paid_at_s,
        before_s=0,
        after_s=0,
        taken_minor=ride.fare_minor,
        product=None,
    )
