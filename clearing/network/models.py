"""Tables of the network, filled from a city package: places are named by the codes that people use.

Natural keys (city and code) are the primary keys, so that a tap can name its carrier and vehicle without a lookup.
Names are canonical JSON by language: `{"en":…,"kk":…,"ru":…}`.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class City(Base):
    """A city that clears its own fares.

    Attributes:
        code: such as `almaty`; it is the audience of every signature as well.
        number: the city's number on the wire, 16 bits.
        zone: name of its time zone; service days come from it.
        kato: code in the state classifier of places; `iso_3166_2` that of its region.
        rules_json: rules of the ride, as the package writes them (`clearing.network.ride_rules`).
        package_sha256: hexadecimal SHA-256 of the package it was loaded from.
    """

    __tablename__ = "city"

    code: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    names_json: Mapped[str]
    zone: Mapped[str]
    currency: Mapped[str]
    kato: Mapped[str] = mapped_column(default="", server_default="")
    iso_3166_2: Mapped[str] = mapped_column(default="", server_default="")
    rules_json: Mapped[str] = mapped_column(default="{}", server_default="{}")
    package_sha256: Mapped[str]


class Carrier(Base):
    """An operator of vehicles, to whom fares are owed."""

    __tablename__ = "carrier"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    names_json: Mapped[str]


class Route(Base):
    """A line, by the number that riders know and taps carry."""

    __tablename__ = "route"
    __table_args__ = (ForeignKeyConstraint(["city", "carrier"], ["carrier.city", "carrier.code"]),)

    city: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    carrier: Mapped[str]
    names_json: Mapped[str]


class Vehicle(Base):
    """A bus, by the code painted on it, which riders text when they pay by SMS.

    Attributes:
        plate: number plate, where it is known.
    """

    __tablename__ = "vehicle"
    __table_args__ = (
        ForeignKeyConstraint(["city", "carrier"], ["carrier.city", "carrier.code"]),
        ForeignKeyConstraint(["city", "line"], ["route.city", "route.number"]),
    )

    city: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    carrier: Mapped[str]
    line: Mapped[int]
    plate: Mapped[str | None]


class Tariff(Base):
    """One price of a dated tariff: a medium and a rider category.

    Attributes:
        valid_from: first service day, ISO date.
        valid_until: last service day, or absent when it has no end yet.
        medium: text name of a medium, `sms` included.
        category: rider category, 1 to 5.
        source: where the price was published.
        example: no public figure stands behind it.
    """

    __tablename__ = "tariff"
    __table_args__ = (
        UniqueConstraint("city", "valid_from", "medium", "category"),
        CheckConstraint("fare_minor >= 0", name="fare_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    valid_from: Mapped[str]
    valid_until: Mapped[str | None]
    medium: Mapped[str]
    category: Mapped[int]
    fare_minor: Mapped[int]
    source: Mapped[str]
    example: Mapped[bool] = mapped_column(default=False, server_default=false())


class CityParties(Base):
    """Who takes part in a city's money from a service day on, until the next row of the city.

    Attributes:
        parties_json: `parties.toml` as `clearing.network.parties` reads it.
    """

    __tablename__ = "city_parties"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    valid_from: Mapped[str] = mapped_column(primary_key=True)
    parties_json: Mapped[str]


class Stop(Base):
    """A place where vehicles stop, by the number that taps carry.

    Attributes:
        latitude_e6, longitude_e6: millionths of a degree (WGS 84).
    """

    __tablename__ = "stop"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    names_json: Mapped[str]
    latitude_e6: Mapped[int]
    longitude_e6: Mapped[int]


class RouteStop(Base):
    """A stop of a route, in the order in which the route calls there."""

    __tablename__ = "route_stop"
    __table_args__ = (
        ForeignKeyConstraint(["city", "line"], ["route.city", "route.number"]),
        ForeignKeyConstraint(["city", "stop"], ["stop.city", "stop.number"]),
    )

    city: Mapped[str] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    stop: Mapped[int]


class TariffRulesRow(Base):
    """The rules of one dated tariff, beside its prices.

    Attributes:
        valid_from, valid_until: as of the tariff.
        rules_json: `[tariff.rules]` as the package writes it (`clearing.network.tariff_rules`).
    """

    __tablename__ = "tariff_rules"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    valid_from: Mapped[str] = mapped_column(primary_key=True)
    valid_until: Mapped[str | None]
    rules_json: Mapped[str]
