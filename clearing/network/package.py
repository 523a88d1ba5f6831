"""City packages: a folder of declarative files describes a city, so that no city is code. Nothing is changed here.

`city.toml` names it, `network.toml` lists carriers, routes and vehicles, `tariffs.toml` the dated prices and the rules of the
ride. A package with a fault is refused as a whole, and every fault is named at once.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from clearing.network.ride_rules import RideRules, read_rules

FILES = ("city.toml", "network.toml", "tariffs.toml")
ADULT = 1
CASH = "cash"
# 10 000 tenge: no ride costs more, on no day, in no city.
FARE_MINOR_MAX = 1_000_000
_ROOT = Path(__file__).parent.parent / "cities"


class PackageError(Exception):
    """A city package that cannot be loaded; its message lists every fault."""


@dataclass(frozen=True)
class Price:
    """One price of a dated tariff, as in the table `tariff`."""

    valid_from: str
    valid_until: str | None
    medium: str
    category: int
    fare_minor: int
    source: str


@dataclass(frozen=True)
class CityPackage:
    """A city as its files describe it.

    Attributes:
        carriers: names by carrier code.
        routes: (carrier, names) by route number.
        vehicles: route number by vehicle code.
        rules_table: the rules of the ride as they are written, and `rules` as they are read.
        sha256: over the files, hexadecimal.
    """

    code: str
    number: int
    zone: str
    currency: str
    names: dict[str, str]
    carriers: dict[str, dict[str, str]]
    routes: dict[int, tuple[str, dict[str, str]]]
    vehicles: dict[str, int]
    prices: tuple[Price, ...]
    rules_table: dict[str, Any]
    rules: RideRules
    sha256: str


def is_fare(amount_minor: int) -> bool:
    """Whether an amount can be what a ride costs."""
    return 0 <= amount_minor <= FARE_MINOR_MAX


def package_folder(code: str) -> Path:
    """The folder of a city that comes with Jolaqy."""
    return _ROOT / code


def known_cities() -> list[str]:
    """Codes of the cities that come with Jolaqy."""
    return sorted(path.parent.name for path in _ROOT.glob("*/city.toml"))


def read_package(folder: Path) -> CityPackage:
    """Read and check a city package.

    Raises:
        PackageError: a file is missing or unreadable, or the files contradict each other.
    """
    try:
        contents = [(folder / name).read_bytes() for name in FILES]
        city, network, tariffs = (tomllib.loads(content.decode()) for content in contents)
        package = CityPackage(
            code=city["code"],
            number=city["number"],
            zone=city["zone"],
            currency=city["currency"],
            names=city["names"],
            carriers={carrier["code"]: carrier["names"] for carrier in network["carrier"]},
            routes={route["number"]: (route["carrier"], route["names"]) for route in network["route"]},
            vehicles={code: group["line"] for group in network["vehicle"] for code in group["codes"]},
            prices=tuple(price for tariff in tariffs["tariff"] for price in _prices(tariff)),
            rules_table=tariffs.get("rules", {}),
            rules=read_rules(tariffs.get("rules", {})),
            sha256=hashlib.sha256(b"".join(len(c).to_bytes(8, "big") + c for c in contents)).hexdigest(),
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PackageError(f"city package {folder.name}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PackageError(f"city package {folder.name}: missing or wrong: {error}") from error
    faults = check_package(package)
    if faults:
        raise PackageError(f"city package {folder.name}: " + "; ".join(faults))
    return package


def _prices(tariff: dict[str, Any]) -> list[Price]:
    """The rows of one dated tariff: an adult pays by every medium, concessions where they can be proved."""
    cashless, cash = tariff["cashless"], tariff.get("cash", {"fares_minor": {}})
    fares = [
        (medium, int(category), fare_minor)
        for medium in cashless["media"]
        for category, fare_minor in cashless["fares_minor"].items()
        if int(category) == ADULT or medium in cashless["concession_media"]
    ]
    fares += [(CASH, int(category), fare_minor) for category, fare_minor in cash["fares_minor"].items()]
    return [
        Price(tariff["valid_from"], tariff.get("valid_until"), medium, category, fare_minor, tariff["source"])
        for medium, category, fare_minor in fares
    ]


def check_package(package: CityPackage) -> list[str]:
    """Every fault of a package that reads well: places that do not exist, and prices that contradict each other."""
    faults = [
        f"route {number}: no carrier {carrier}"
        for number, (carrier, _) in package.routes.items()
        if carrier not in package.carriers
    ]
    faults += [
        f"vehicle {code}: no route {line}" for code, line in package.vehicles.items() if line not in package.routes
    ]
    for price in package.prices:
        if not is_fare(price.fare_minor):
            faults.append(f"tariff {price.valid_from}: a fare below 0 or above {FARE_MINOR_MAX} tiyn")
        if price.valid_until is not None and date.fromisoformat(price.valid_until) < date.fromisoformat(
            price.valid_from
        ):
            faults.append(f"tariff {price.valid_from}: ends before it begins")
    taken = {price.medium for price in package.prices}
    faults += [
        f"rules: allow_listed {name}: no tariff takes it" for name in package.rules.allow_listed if name not in taken
    ]
    return faults + _overlaps(package.prices)


def _overlaps(prices: tuple[Price, ...]) -> list[str]:
    faults = []
    ordered = sorted(prices, key=lambda price: (price.medium, price.category, price.valid_from))
    for earlier, later in pairwise(ordered):
        same = (earlier.medium, earlier.category) == (later.medium, later.category)
        if same and (earlier.valid_until is None or earlier.valid_until >= later.valid_from):
            faults.append(
                f"tariffs {earlier.valid_from} and {later.valid_from} both price {later.medium} {later.category}"
            )
    return faults
