"""City packages: a folder of declarative files describes a city, so that no city is code. Nothing is changed here.

`city.toml` names it, `network.toml` lists carriers, routes, vehicles and stops, `tariffs.toml` the dated prices and rules,
`parties.toml` who takes part in its money. A package with a fault is refused as a whole, and every fault is named at once,
with file, line and remedy. How one is written is told in `clearing/cities/README.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearing.network.consistency import CONTRADICTIONS, FILES, ODDITIES, Rule
from clearing.network.faults import Fault, Found, listed
from clearing.network.package_files import (
    ADULT,
    CASH,
    FARE_MINOR_MAX,
    CityFile,
    NetworkFile,
    PackageFiles,
    StopTable,
    TariffsFile,
    prices_of,
)
from clearing.network.package_reading import Reading
from clearing.network.parties import Parties
from clearing.network.party_consistency import PARTY_CONTRADICTIONS, PARTY_ODDITIES
from clearing.network.ride_rules import RideRules
from clearing.network.tariff_consistency import TARIFF_CONTRADICTIONS, TARIFF_ODDITIES

__all__ = ["ADULT", "CASH", "FARE_MINOR_MAX", "FILES"]

_ROOT = Path(__file__).parent.parent / "cities"


class PackageError(Exception):
    """A city package that cannot be loaded; its message lists every fault.

    Attributes:
        faults: in the order of files and lines.
    """

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        super().__init__(f"city package {name}: {len(faults)} to correct\n{listed(faults)}")
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Price:
    """One price of a dated tariff, as in the table `tariff`."""

    valid_from: str
    valid_until: str | None
    medium: str
    category: int
    fare_minor: int
    source: str
    example: bool = False


@dataclass(frozen=True)
class CityPackage:
    """A city as its files describe it.

    Attributes:
        carriers: names by carrier code.
        routes: (carrier, names) by route number; `route_stops` their stops in order.
        vehicles: route number by vehicle code; `plates` their number plates.
        dated_rules: (first day, last day, `[tariff.rules]` as written) of each tariff.
        rules_table: the rules of the ride as they are written, and `rules` as they are read.
        categories: names of rider categories beyond the five of every city.
        sha256: over the files, hexadecimal.
    """

    code: str
    number: int
    kato: str
    iso_3166_2: str
    zone: str
    currency: str
    names: dict[str, str]
    carriers: dict[str, dict[str, str]]
    routes: dict[int, tuple[str, dict[str, str]]]
    route_stops: dict[int, tuple[int, ...]]
    stops: tuple[StopTable, ...]
    vehicles: dict[str, int]
    plates: dict[str, str]
    prices: tuple[Price, ...]
    dated_rules: tuple[tuple[str, str | None, dict[str, Any]], ...]
    rules_table: dict[str, Any]
    rules: RideRules
    categories: dict[int, dict[str, str]]
    parties: Parties
    demonstration: bool
    sha256: str


@dataclass(frozen=True)
class Examined:
    """What came out of reading a package.

    Attributes:
        package: absent when there is a fault.
        warnings: what is allowed and looks odd.
        files: absent when one of them is not well-formed.
    """

    package: CityPackage | None
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    files: PackageFiles | None = None


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
    examined = examine(folder)
    if examined.package is None:
        raise PackageError(folder.name, examined.faults)
    return examined.package


def examine(folder: Path) -> Examined:
    """Read a city package and find everything that is wrong with it, and what looks odd."""
    reading = Reading(folder)
    city = reading.shape("city.toml", CityFile)
    network = reading.shape("network.toml", NetworkFile)
    tariffs = reading.shape("tariffs.toml", TariffsFile)
    parties = reading.shape("parties.toml", Parties)
    ride_rules, tariff_rules = reading.rules(tariffs)
    if city is None or network is None or tariffs is None or parties is None or reading.found:
        return Examined(None, reading.placed(reading.found), ())
    files = PackageFiles(city, network, tariffs, parties, ride_rules, tariff_rules)
    faults = reading.placed(_all_of(files, (*CONTRADICTIONS, *TARIFF_CONTRADICTIONS, *PARTY_CONTRADICTIONS)))
    warnings = reading.placed(_all_of(files, (*ODDITIES, *TARIFF_ODDITIES, *PARTY_ODDITIES)))
    return Examined(None if faults else _package(files, reading.sha256()), faults, warnings, files)


def _all_of(files: PackageFiles, rules: Sequence[Rule]) -> list[Found]:
    return [found for rule in rules for found in rule(files)]


def _package(files: PackageFiles, sha256: str) -> CityPackage:
    city, network, tariffs = files.city, files.network, files.tariffs
    return CityPackage(
        code=city.code,
        number=city.number,
        kato=city.kato,
        iso_3166_2=city.iso_3166_2,
        zone=city.zone,
        currency=city.currency,
        names=city.names.model_dump(),
        carriers={carrier.code: carrier.names.model_dump() for carrier in network.carriers},
        routes={route.number: (route.carrier, route.names.model_dump()) for route in network.routes},
        route_stops={route.number: route.stops for route in network.routes if route.stops},
        stops=network.stops,
        vehicles={code: group.line for group in network.vehicles for code in group.codes},
        plates={code: plate for group in network.vehicles for code, plate in group.plates.items()},
        prices=tuple(
            Price(tariff.valid_from, tariff.valid_until, medium, category, fare_minor, tariff.source, tariff.example)
            for tariff in tariffs.tariffs
            for (medium, category), fare_minor in prices_of(tariff).items()
        ),
        dated_rules=tuple((tariff.valid_from, tariff.valid_until, tariff.rules) for tariff in tariffs.tariffs),
        rules_table=tariffs.rules,
        rules=files.ride_rules,
        categories={int(number): names.model_dump() for number, names in tariffs.categories.items()},
        parties=files.parties,
        demonstration=network.demonstration,
        sha256=sha256,
    )
