"""Contradictions within a city package, and what is odd about it. Pure.

Each rule is one function that yields what it finds. Here are those of places; `tariff_consistency` has those of prices,
`party_consistency` those of who takes part in the money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from clearing.network.faults import Found
from clearing.network.package_files import PackageFiles
from clearing.network.toml_lines import Path

CITY, NETWORK, TARIFFS, PARTIES = FILES = ("city.toml", "network.toml", "tariffs.toml", "parties.toml")
# Categories that every city knows; others are named in `[categories]`.
CATEGORIES = {1: "adult", 2: "pupil", 3: "student", 4: "pensioner", 5: "free by law"}
# The country is one zone since 1 March 2024; the names, and what each was before, stay.
ZONES = frozenset(f"Asia/{name}" for name in ("Almaty", "Aqtau", "Aqtobe", "Atyrau", "Oral", "Qostanay", "Qyzylorda"))

Rule = Callable[[PackageFiles], Iterator[Found]]


def repeated(file: str, keys: Iterable[tuple[Path, object]], what: str) -> Iterator[Found]:
    """Keys that should differ and do not, all but the first."""
    seen: set[object] = set()
    for path, key in keys:
        if key in seen:
            yield Found(file, path, f"{what} {key} is there twice", "keep one of them, or give it another")
        seen.add(key)


def twice_in_network(files: PackageFiles) -> Iterator[Found]:
    """No two carriers, routes, stops or vehicles share a name."""
    network = files.network
    carriers = enumerate(network.carriers)
    yield from repeated(NETWORK, ((("carrier", n, "code"), row.code) for n, row in carriers), "carrier")
    yield from repeated(
        NETWORK, ((("route", n, "number"), row.number) for n, row in enumerate(network.routes)), "route"
    )
    yield from repeated(NETWORK, ((("stop", n, "number"), row.number) for n, row in enumerate(network.stops)), "stop")
    codes = (
        (("vehicle", n, "codes", m), code)
        for n, group in enumerate(network.vehicles)
        for m, code in enumerate(group.codes)
    )
    yield from repeated(NETWORK, codes, "vehicle")


def nowhere(files: PackageFiles) -> Iterator[Found]:
    """Routes have carriers and stops that exist, vehicles have lines, plates have vehicles."""
    network = files.network
    carriers = {carrier.code for carrier in network.carriers}
    stops = {stop.number for stop in network.stops}
    lines = {route.number for route in network.routes}
    for n, route in enumerate(network.routes):
        if route.carrier not in carriers:
            yield Found(
                NETWORK,
                ("route", n, "carrier"),
                f"route {route.number}: no carrier {route.carrier}",
                f"write a [[carrier]] for it, or one of {', '.join(sorted(carriers))}",
            )
        for m, stop in enumerate(route.stops):
            if stop not in stops:
                yield Found(
                    NETWORK,
                    ("route", n, "stops", m),
                    f"route {route.number}: no stop {stop}",
                    "write a [[stop]] with this number, or take it out",
                )
    for n, group in enumerate(network.vehicles):
        if group.line not in lines:
            yield Found(
                NETWORK,
                ("vehicle", n, "line"),
                f"vehicle {group.codes[0]}: no route {group.line}",
                "write a [[route]] with this number, or correct the line",
            )
        for code in group.plates:
            if code not in group.codes:
                yield Found(
                    NETWORK,
                    ("vehicle", n, "plates", code),
                    f"plate of {code}, which is not among the codes of this line",
                    "add the vehicle to codes, or take its plate out",
                )


def wrong_place(files: PackageFiles) -> Iterator[Found]:
    """KATO and ISO 3166-2 name one region; the zone is one of Kazakhstan."""
    city = files.city
    region = city.iso_3166_2.removeprefix("KZ-")
    if not city.kato.startswith(region):
        yield Found(
            CITY,
            ("kato",),
            f"kato {city.kato} lies in region {city.kato[:2]}, iso_3166_2 says {region}",
            "correct the one that is wrong: both begin with the same two digits",
        )
    if city.zone not in ZONES:
        yield Found(
            CITY, ("zone",), f"zone {city.zone} is not in Kazakhstan", f"write one of {', '.join(sorted(ZONES))}"
        )


def idle(files: PackageFiles) -> Iterator[Found]:
    """Carriers without a route, and routes without a vehicle."""
    driving = {route.carrier for route in files.network.routes}
    for n, carrier in enumerate(files.network.carriers):
        if carrier.code not in driving:
            yield Found(
                NETWORK, ("carrier", n, "code"), f"carrier {carrier.code} has no route", "see that this is meant"
            )
    served = {group.line for group in files.network.vehicles}
    for n, route in enumerate(files.network.routes):
        if route.number not in served:
            what = f"route {route.number} has no vehicle: nobody can be charged on it"
            yield Found(NETWORK, ("route", n, "number"), what, "write a [[vehicle]] with this line")


CONTRADICTIONS: tuple[Rule, ...] = (twice_in_network, nowhere, wrong_place)
ODDITIES: tuple[Rule, ...] = (idle,)
