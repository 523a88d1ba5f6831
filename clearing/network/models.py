"""Tables of the network, filled from a city package: places are named by the codes that people use.

Natural keys (city and code) are the primary keys, so that a tap can name its carrier and vehicle without a lookup.
Names are canonical JSON by language: `{"en":…,"kk":…,"ru":…}`.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class City(Base):
    """A city that clears its own fares.

    Attributes:
        code: such as `almaty`; it is the audience of every signature as well.
        number: the city's number on the wire, 16 bits.
        zone: name of its time zone; service days come from it.
        rules_json: rules of the ride, as the package writes them (`clearing.network.ride_rules`).
        package_sha256: hexadecimal SHA-256 of the package it was loaded from.
    """

    __tablename__ = "city"

    code: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    names_json: Mapped[str]
    zone: Mapped[str]
    currency: Mapped[str]
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
    """A bus, by the code painted on it, which riders text when they pay by SMS."""

    __tablename__ = "vehicle"
    __table_args__ = (
        ForeignKeyConstraint(["city", "carrier"], ["carrier.city", "carrier.code"]),
        ForeignKeyConstraint(["city", "line"], ["route.city", "route.number"]),
    )

    city: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    carrier: Mapped[str]
    line: Mapped[int]


class Tariff(Base):
    """One price of a dated tariff: a medium and a rider category.

    Attributes:
        valid_from: first service day, ISO date.
        valid_until: last service day, or absent when it has no end yet.
        medium: text name of a medium, `sms` included.
        category: rider category, 1 to 5.
        source: where the price was published.
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
