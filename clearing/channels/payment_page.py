"""What a rider sees before paying by a code: vehicle, route and plate, so that a fake sticker is noticed, and the price."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy.orm import Session

from clearing.channels.paid_rides import QR
from clearing.channels.qr_payments import plate_of, provider_terms, read_code
from clearing.endpoint import ConflictError, NotFoundError
from clearing.fleet.keys import KeyStore
from clearing.network.models import Carrier, Route, Vehicle
from clearing.network.package import ADULT
from clearing.network.service import city_of, fares_on, find_vehicle
from clearing.network.service_day import service_day


@dataclass(frozen=True)
class PaymentPage:
    """What the page says.

    Attributes:
        plate: what is painted on the vehicle; the rider compares it with the one they sit in.
        route, carrier: names by language.
        is_genuine: whether a code was given that is the service's own; absent when only the vehicle was named.
        fare_minor: what an adult pays; absent where it is not sold today.
    """

    city: str
    vehicle: str
    plate: str
    line: int
    route: dict[str, str]
    carrier: dict[str, str]
    medium: str
    fare_minor: int | None
    currency: str
    is_genuine: bool | None


def payment_page(
    session: Session, keys: KeyStore, city: str, vehicle: str | None, code: str | None, now_ms: int
) -> PaymentPage:
    """The page for a vehicle, for a code, or for a code that was found in a vehicle.

    Raises:
        NotFoundError: there is no such vehicle.
        InvalidError: the code is not the service's, or not of now.
        ConflictError: the code is of another vehicle: somebody has put a sticker over the label.
    """
    place = city_of(session, city)
    day = service_day(place.zone, now_ms // 1000)
    found, medium = (None if vehicle is None else find_vehicle(session, city, vehicle)), QR
    if code is not None:
        scanned = read_code(session, keys, place, code, now_ms // 1000, provider_terms(session, city, "", day).nonce_s)
        if vehicle is not None and scanned.vehicle.code != vehicle:
            raise ConflictError(
                f"the code is of vehicle {plate_of(scanned.vehicle)}, not of {vehicle[:32]}",
                "do not pay: tell the driver that the sticker is wrong",
            )
        found, medium = scanned.vehicle, scanned.medium
    if found is None:
        raise NotFoundError("there is no such vehicle", "type the code in large letters, as it is painted")
    return _page(session, found, medium, day, place.currency, code is not None)


def _page(session: Session, vehicle: Vehicle, medium: str, day: str, currency: str, is_genuine: bool) -> PaymentPage:
    route = session.get_one(Route, (vehicle.city, vehicle.line))
    carrier = session.get_one(Carrier, (vehicle.city, vehicle.carrier))
    return PaymentPage(
        city=vehicle.city,
        vehicle=vehicle.code,
        plate=plate_of(vehicle),
        line=vehicle.line,
        route=json.loads(route.names_json),
        carrier=json.loads(carrier.names_json),
        medium=medium,
        fare_minor=fares_on(session, vehicle.city, day).get((medium, ADULT)),
        currency=currency,
        is_genuine=True if is_genuine else None,
    )
