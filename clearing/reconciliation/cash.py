"""Cash three ways: what the driver's button says, what was counted, what came to the bank; by carrier, vehicle and shift.

What the button says is what pricing made of the taps. A shift is the driver's pseudonym in the tap's record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.channels.models import Remittance, TillCount
from clearing.channels.standing import CARRIER
from clearing.ingest.models import TapRow
from clearing.network.parties import CashRules
from clearing.network.service import city_of
from clearing.pricing.models import Fare
from clearing.reconciliation.breaks import Found
from clearing.reconciliation.matching import NOT_MATCHED, UNSETTLED
from protocol.errors import TapError
from protocol.tap import decode_tap

CASH = "cash"


@dataclass
class Till:
    """Cash of one vehicle and shift.

    Attributes:
        shift: absent where the driver has not signed on.
        counted_minor: absent where nobody has counted this till by itself.
    """

    vehicle: str | None
    shift: int | None
    expected_minor: int = 0
    counted_minor: int | None = None


@dataclass
class CarrierCash:
    """Cash of one carrier and service day.

    Attributes:
        counted_minor: of all counts of the day; absent where there is none.
        banked_minor: that was paid in for this day by name.
        tills: by vehicle and shift.
    """

    carrier: str
    expected_minor: int = 0
    counted_minor: int | None = None
    banked_minor: int = 0
    tills: list[Till] = field(default_factory=list)


def cash_of_day(session: Session, city: str, day: str) -> list[CarrierCash]:
    """Cash of a service day by carrier."""
    city_of(session, city)
    found: dict[str, CarrierCash] = {}
    tills: dict[tuple[str, str | None, int | None], Till] = {}

    def till(carrier: str, vehicle: str | None, shift: int | None) -> Till:
        whole = found.setdefault(carrier, CarrierCash(carrier))
        if (carrier, vehicle, shift) not in tills:
            tills[carrier, vehicle, shift] = Till(vehicle, shift)
            whole.tills.append(tills[carrier, vehicle, shift])
        return tills[carrier, vehicle, shift]

    for carrier, vehicle, shift, amount_minor in _by_the_button(session, city, day):
        till(carrier, vehicle, shift).expected_minor += amount_minor
        found[carrier].expected_minor += amount_minor
    for count in session.scalars(select(TillCount).filter_by(city=city, service_day=day).order_by(TillCount.id)):
        each = till(count.carrier, count.vehicle, count.shift)
        each.counted_minor = (each.counted_minor or 0) + count.counted_minor
        whole = found[count.carrier]
        whole.counted_minor = (whole.counted_minor or 0) + count.counted_minor
    banked = select(Remittance.party, func.sum(Remittance.amount_minor)).where(
        Remittance.city == city, Remittance.party_kind == CARRIER, Remittance.service_day == day
    )
    for carrier, amount_minor in session.execute(banked.group_by(Remittance.party)):
        found.setdefault(carrier, CarrierCash(carrier)).banked_minor = int(amount_minor)
    for each_carrier in found.values():
        each_carrier.tills.sort(key=lambda each: (each.vehicle or "", each.shift or -1))
    return [found[carrier] for carrier in sorted(found)]


def _by_the_button(session: Session, city: str, day: str) -> Iterator[tuple[str, str, int | None, int]]:
    """Carrier, vehicle, shift and amount of every cash ride."""
    rows = session.execute(
        select(Fare.carrier, Fare.vehicle, Fare.charged_minor, Fare.correction_minor, TapRow.record)
        .join(
            TapRow,
            (TapRow.device_id == Fare.device_id) & (TapRow.epoch == Fare.epoch) & (TapRow.sequence == Fare.sequence),
        )
        .where(Fare.city == city, Fare.service_day == day, Fare.medium == CASH)
    )
    for carrier, vehicle, charged_minor, correction_minor, record in rows:
        yield carrier, vehicle, _shift(record), charged_minor + correction_minor


def _shift(record: bytes) -> int | None:
    try:
        return decode_tap(record).shift
    except TapError:
        return None


def cash_breaks(cash: list[CarrierCash], rules: CashRules, day: str, today: str) -> Iterator[Found]:
    """Differences of a service day's cash, once it should have been counted."""
    counted_by = (date.fromisoformat(day) + timedelta(days=rules.count_days)).isoformat()
    for each in cash:
        if each.counted_minor is None:
            if each.expected_minor and counted_by < today:
                yield _found(each.carrier, day, UNSETTLED, "not_counted", "", -each.expected_minor)
            continue
        for till in _comparable(each):
            difference_minor = (till.counted_minor or 0) - till.expected_minor
            if abs(difference_minor) > rules.tolerance_minor:
                cause = "till_short" if difference_minor < 0 else "till_surplus"
                place = "" if till.vehicle is None else f"{till.vehicle} {till.shift or ''}".strip()
                yield _found(each.carrier, day, NOT_MATCHED, cause, place, difference_minor)


def _comparable(cash: CarrierCash) -> list[Till]:
    """Tills as finely as they were counted: by vehicle and shift, else by vehicle, else the carrier's cash as a whole."""
    for merged in (cash.tills, _by_vehicle(cash.tills)):
        if all(till.counted_minor is not None or till.expected_minor == 0 for till in merged):
            return merged
    return [Till(None, None, cash.expected_minor, cash.counted_minor)]


def _by_vehicle(tills: Sequence[Till]) -> list[Till]:
    merged: dict[str | None, Till] = {}
    for till in tills:
        whole = merged.setdefault(till.vehicle, Till(till.vehicle, None))
        whole.expected_minor += till.expected_minor
        if till.counted_minor is not None:
            whole.counted_minor = (whole.counted_minor or 0) + till.counted_minor
    return list(merged.values())


def _found(carrier: str, day: str, category: str, cause: str, place: str, amount_minor: int) -> Found:
    key = f"{CASH}/{carrier}/{day}/{cause}/{place}"
    return Found(CASH, carrier, key, category, cause, place or day, day, amount_minor)
