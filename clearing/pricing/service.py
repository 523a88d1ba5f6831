"""What can be done by pricing: price a service day, as often as one likes; read what was priced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.channels.models import SmsPayment
from clearing.channels.service import PAID, SMS
from clearing.fleet.documents import WIRE_MEDIA
from clearing.ingest.codes import CODE_MEDIA
from clearing.ingest.models import TapRow
from clearing.ingest.suspicion import clock_is_usable
from clearing.network.package import ADULT
from clearing.network.service import fares_on
from clearing.pricing.fares import Price, price_ride
from clearing.pricing.models import Fare
from clearing.pricing.rides import Record, sort_out
from clearing.pricing.shares import MediumTotal
from protocol.decisions import DECISION_COMMITTED, DECISION_NOT_COMMITTED
from protocol.tap import KIND_INTENT, KIND_OUTCOME, KIND_SINGLE, KIND_TOP_UP

MEDIA_BY_WIRE = {code: name for name, code in WIRE_MEDIA.items()}
_KINDS = (KIND_SINGLE, KIND_INTENT, KIND_OUTCOME, KIND_TOP_UP)
_CARDS_AT_ONCE = 1000


@dataclass(frozen=True)
class PricedDay:
    """What pricing made of a day.

    Attributes:
        rides: fares that the day has.
        unknown: debits of which nobody knows whether the card committed them.
        unknown_minor: what the riders would be charged for them.
    """

    rides: int
    unknown: int
    unknown_minor: int


def price_day(session: Session, city: str, day: str) -> PricedDay:
    """Price a service day from scratch: the same taps give the same fares, in whatever order they came."""
    rows, priced = _price(session, city, day)
    session.execute(delete(Fare).where(Fare.city == city, Fare.service_day == day))
    if rows:
        # With its nulls, every row has the same columns, and all go in one statement.
        session.execute(insert(Fare), rows, execution_options={"render_nulls": True})
    return priced


def preview_totals(session: Session, city: str, day: str) -> list[MediumTotal]:
    """Rides and fares of a day by medium as they would be priced now; nothing is written."""
    totals: dict[str, tuple[int, int]] = {}
    for row in _price(session, city, day)[0]:
        trips, fares_minor = totals.get(row["medium"], (0, 0))
        totals[row["medium"]] = (trips + 1, fares_minor + row["charged_minor"])
    return [MediumTotal(medium, *totals[medium]) for medium in sorted(totals)]


def _price(session: Session, city: str, day: str) -> tuple[list[dict[str, Any]], PricedDay]:
    taps = list(
        session.scalars(select(TapRow).where(TapRow.city == city, TapRow.service_day == day, TapRow.kind.in_(_KINDS)))
    )
    witnesses = [*_witnesses(session, city, day, taps), *_other_taps_by_codes(session, city, day, taps)]
    sorted_out = sort_out(map(_record, taps), witnesses)
    tariff = fares_on(session, city, day)
    rows = [_tap_fare(tap, tariff) for tap in taps if _key(tap) in sorted_out.rides]
    payments = session.scalars(
        select(SmsPayment).where(SmsPayment.city == city, SmsPayment.service_day == day, SmsPayment.status == PAID)
    )
    rows += [_sms_fare(payment, tariff) for payment in payments]
    rows.sort(key=lambda row: (row["source"], row["source_key"]))
    unknown = [_tap_fare(tap, tariff)["charged_minor"] for tap in taps if _key(tap) in sorted_out.unknown]
    return rows, PricedDay(len(rows), len(unknown), sum(unknown))


def _key(tap: TapRow) -> tuple[bytes, int, int]:
    return tap.device_id, tap.epoch, tap.sequence


def _record(tap: TapRow) -> Record:
    return Record(
        _key(tap),
        tap.kind,
        tap.decision,
        tap.token,
        tap.card_counter,
        tap.reference_first,
        _moment_s(tap),
        tap.rebased_at_s is not None or clock_is_usable(tap.clock_quality, tap.tapped_at_s, tap.received_at_ms // 1000),
        tap.test,
        tap.medium in CODE_MEDIA,
    )


def _moment_s(tap: TapRow) -> int:
    """When it was, as well as anybody knows."""
    return tap.tapped_at_s if tap.rebased_at_s is None else tap.rebased_at_s


def _witnesses(session: Session, city: str, day: str, taps: Iterable[TapRow]) -> Iterator[Record]:
    """Records of other days that can prove how a debit of this day ended: outcomes, and other debits of the same cards."""
    ended = {
        (tap.device_id, tap.epoch, tap.reference_first)
        for tap in taps
        if tap.kind == KIND_OUTCOME and tap.decision in {DECISION_COMMITTED, DECISION_NOT_COMMITTED}
    }
    intents = [tap for tap in taps if tap.kind == KIND_INTENT]
    tokens = sorted({tap.token for tap in intents if tap.token is not None and _key(tap) not in ended})
    for start in range(0, len(tokens), _CARDS_AT_ONCE):
        found = session.scalars(
            select(TapRow).where(
                TapRow.city == city,
                TapRow.service_day != day,
                TapRow.token.in_(tokens[start : start + _CARDS_AT_ONCE]),
                TapRow.kind.in_((KIND_INTENT, KIND_OUTCOME, KIND_TOP_UP)),
            )
        )
        yield from map(_record, found)


def _other_taps_by_codes(session: Session, city: str, day: str, taps: Iterable[TapRow]) -> Iterator[Record]:
    """Records of other days by the codes that passed on this one: a code may pass on both sides of the day's boundary."""
    codes = [tap for tap in taps if tap.medium in CODE_MEDIA and tap.token is not None and tap.card_counter is not None]
    counters = [tap.card_counter for tap in codes if tap.card_counter is not None]
    tokens = sorted({tap.token for tap in codes if tap.token is not None})
    for start in range(0, len(tokens), _CARDS_AT_ONCE):
        found = session.scalars(
            select(TapRow).where(
                TapRow.city == city,
                TapRow.service_day != day,
                TapRow.token.in_(tokens[start : start + _CARDS_AT_ONCE]),
                TapRow.kind == KIND_SINGLE,
                TapRow.card_counter.between(min(counters), max(counters)),
            )
        )
        yield from map(_record, found)


def _tap_fare(tap: TapRow, tariff: dict[tuple[str, int], int]) -> dict[str, Any]:
    medium = MEDIA_BY_WIRE.get(tap.medium or 0, "other")
    category = tap.category or ADULT
    price = price_ride(tariff, medium, category, tap.fare_minor or 0, tap.product)
    return {
        "source": "tap",
        "source_key": f"{tap.device_id.hex()}/{tap.epoch}/{tap.sequence}",
        "device_id": tap.device_id,
        "epoch": tap.epoch,
        "sequence": tap.sequence,
        "city": tap.city,
        "service_day": tap.service_day,
        "carrier": tap.carrier,
        "vehicle": tap.vehicle,
        "line": tap.line,
        "token": tap.token,
        "ridden_at_s": _moment_s(tap),
        **_priced(price, medium, category, tap.fare_minor or 0, tap.service_day),
    }


def _sms_fare(payment: SmsPayment, tariff: dict[tuple[str, int], int]) -> dict[str, Any]:
    price = price_ride(tariff, SMS, ADULT, payment.fare_minor)
    return {
        "source": SMS,
        "source_key": f"{payment.aggregator}/{payment.reference}",
        "device_id": None,
        "epoch": None,
        "sequence": None,
        "city": payment.city,
        "service_day": payment.service_day,
        "carrier": payment.carrier,
        "vehicle": payment.vehicle,
        "line": payment.line,
        "token": payment.token,
        "ridden_at_s": payment.paid_at_s,
        **_priced(price, SMS, ADULT, payment.fare_minor, payment.service_day),
    }


def _priced(price: Price, medium: str, category: int, taken_minor: int, day: str) -> dict[str, Any]:
    return {
        "medium": medium,
        "category": category,
        "scheduled_minor": price.scheduled_minor,
        "charged_minor": price.charged_minor,
        "cash_minor": price.cash_minor,
        "correction_minor": price.correction_minor,
        "explanation_json": canonical_json({"reason": price.reason, "day": day, "taken_minor": taken_minor}),
    }


def list_fares(session: Session, city: str, day: str, after: tuple[str, str], limit: int) -> list[Fare]:
    """One page of a day's fares, in the order of (source, source key), which a new pricing of the day leaves alone."""
    place = tuple_(Fare.source, Fare.source_key)
    return list(
        session.scalars(
            select(Fare)
            .where(Fare.city == city, Fare.service_day == day, place > after)
            .order_by(Fare.source, Fare.source_key)
            .limit(limit)
        )
    )
