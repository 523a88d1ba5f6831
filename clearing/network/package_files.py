"""The shapes of a city package's files: which tables and keys there are, and of what kind. Pure.

`parties.toml` has its own module (`clearing.network.parties`), the rules of tariffs theirs (`tariff_rules`, `ride_rules`).
How a package is written, with examples, is told in `clearing/cities/README.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from clearing.network.identifiers import REGIONS
from clearing.network.parties import Parties
from clearing.network.records import Code, Day, Line, Medium, Names, Record, Text, looks_like
from clearing.network.ride_rules import RideRules
from clearing.network.tariff_rules import TariffRules

ADULT = 1
CASH = "cash"
# 10 000 tenge: no ride costs more, on no day, in no city.
FARE_MINOR_MAX = 1_000_000
_LIST_MAX = 20_000


def _known_region(text: str) -> str:
    if text not in REGIONS:
        raise ValueError(f"is no code of ISO 3166-2:KZ: write one of {', '.join(sorted(REGIONS))}")
    return text


def _known_zone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError("is no time zone: write its tz name, such as Asia/Almaty or Asia/Qyzylorda")
    return text


Fare = Annotated[int, Field(ge=0, le=FARE_MINOR_MAX)]
VehicleCode = Annotated[
    str, looks_like(r"^[A-Z]{1,3}-[0-9]{1,6}$", "one to three letters, a hyphen and digits, such as A-101")
]
StopNumber = Annotated[int, Field(ge=1, le=0xFFFFFFFF)]
Category = Annotated[str, looks_like(r"^[1-9][0-9]{0,4}$", "the number of a rider category, such as 1")]
Fares = dict[Category, Fare]


class CityFile(Record):
    """`city.toml`.

    Attributes:
        number: on the wire; no two cities share one.
        kato: of the city itself; its first two digits are those of `iso_3166_2`, the region.
    """

    code: Code
    number: Annotated[int, Field(ge=1, le=0xFFFF)]
    kato: Annotated[str, looks_like(r"^[0-9]{9}$", "nine digits, such as 750000000")]
    iso_3166_2: Annotated[str, AfterValidator(_known_region)]
    zone: Annotated[str, AfterValidator(_known_zone)]
    currency: Literal["KZT"]
    names: Names


class CarrierTable(Record):
    """A carrier; its account stands in `parties.toml`."""

    code: Code
    names: Names


class RouteTable(Record):
    """A route.

    Attributes:
        stops: numbers, in the order in which it calls there.
        gtfs_id, trips: where it came from, and how many trips it had there; for the next import and for people.
    """

    number: Line
    carrier: Code
    names: Names
    stops: Annotated[tuple[StopNumber, ...], Field(max_length=_LIST_MAX)] = ()
    gtfs_id: Text | None = None
    trips: Annotated[int, Field(ge=0)] | None = None


class VehicleTable(Record):
    """The vehicles of a line, and number plates by vehicle where they are known."""

    line: Line
    codes: Annotated[tuple[VehicleCode, ...], Field(min_length=1, max_length=_LIST_MAX)]
    plates: dict[
        VehicleCode, Annotated[str, looks_like(r"^[0-9A-Z ]{4,12}$", "a number plate, such as 123 ABC 02")]
    ] = Field(default_factory=dict)


class StopTable(Record):
    """A stop, with degrees in WGS 84."""

    number: StopNumber
    names: Names
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    gtfs_id: Text | None = None


class NetworkFile(Record):
    """`network.toml`.

    Attributes:
        demonstration: it is nobody's timetable.
    """

    demonstration: bool = False
    carriers: Annotated[tuple[CarrierTable, ...], Field(alias="carrier", min_length=1, max_length=_LIST_MAX)]
    routes: Annotated[tuple[RouteTable, ...], Field(alias="route", min_length=1, max_length=_LIST_MAX)]
    vehicles: Annotated[tuple[VehicleTable, ...], Field(alias="vehicle", max_length=_LIST_MAX)] = ()
    stops: Annotated[tuple[StopTable, ...], Field(alias="stop", max_length=_LIST_MAX)] = ()


class Cashless(Record):
    """Prices by rider category of media that show who rides, or of all.

    Attributes:
        concession_media: only by these are categories other than adults priced.
    """

    media: Annotated[tuple[Medium, ...], Field(min_length=1)]
    fares_minor: Annotated[Fares, Field(min_length=1)]
    concession_media: tuple[Medium, ...] = ()


class Cash(Record):
    """Prices in cash by rider category."""

    fares_minor: Annotated[Fares, Field(min_length=1)]


class TariffTable(Record):
    """A dated tariff.

    Attributes:
        valid_until: last service day; absent when it has no end yet.
        source: where it was published; of an example, what it is modelled on.
        example: no public figure stands behind it.
        special: media with prices of their own, such as SMS with the telephone company's surcharge.
        rules: read by `clearing.network.tariff_rules`.
    """

    valid_from: Day
    valid_until: Day | None = None
    source: Text
    example: bool = False
    cashless: Cashless | None = None
    special: tuple[Cashless, ...] = ()
    cash: Cash | None = None
    rules: dict[str, Any] = Field(default_factory=dict)


class TariffsFile(Record):
    """`tariffs.toml`.

    Attributes:
        categories: names of rider categories beyond the five of every city.
        rules: read by `clearing.network.ride_rules`.
    """

    tariffs: Annotated[tuple[TariffTable, ...], Field(alias="tariff", min_length=1, max_length=1000)]
    categories: dict[Category, Names] = Field(default_factory=dict)
    rules: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class PackageFiles:
    """A package whose files are well-formed, each by itself.

    Attributes:
        ride_rules: `[rules]` of `tariffs.toml`.
        tariff_rules: `[tariff.rules]` of each tariff, in their order.
    """

    city: CityFile
    network: NetworkFile
    tariffs: TariffsFile
    parties: Parties
    ride_rules: RideRules
    tariff_rules: tuple[TariffRules, ...]


def prices_of(tariff: TariffTable) -> dict[tuple[str, int], int]:
    """The prices of a tariff by medium and rider category: an adult pays by each, concessions where they can be proved."""
    fares: dict[tuple[str, int], int] = {}
    for priced in (tariff.cashless, *tariff.special):
        if priced is not None:
            fares |= {
                (medium, int(category)): fare_minor
                for medium in priced.media
                for category, fare_minor in priced.fares_minor.items()
                if int(category) == ADULT or medium in priced.concession_media
            }
    if tariff.cash is not None:
        fares |= {(CASH, int(category)): fare_minor for category, fare_minor in tariff.cash.fares_minor.items()}
    return fares
