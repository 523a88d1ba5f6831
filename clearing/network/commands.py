"""Commands of city packages: `jolaqy city check`, `list`, `diff`. Loading one is in `clearing/city_load.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from clearing.cli import (
    EXIT_CHECK_FAILED,
    EXIT_NOTHING_FOUND,
    EXIT_USAGE,
    JsonOption,
    fail,
    note,
    open_office,
    print_json,
    print_rows,
)
from clearing.network.difference import Change
from clearing.network.faults import Fault
from clearing.network.gtfs_commands import gtfs
from clearing.network.loading import changes_of
from clearing.network.package import (
    CityPackage,
    Examined,
    PackageError,
    examine,
    known_cities,
    package_folder,
    read_package,
)
from clearing.network.package_argument import PackageArgument, folder_of
from clearing.network.service import list_cities
from clearing.schema import current_revision

cities = typer.Typer(help="City packages.", no_args_is_help=True)


def package_or_fail(code_or_path: str) -> CityPackage:
    """The package that an argument names, or the end of the command with all its faults."""
    try:
        return read_package(folder_of(code_or_path))
    except PackageError as error:
        fail(str(error), "correct them, then look again: jolaqy city check", EXIT_CHECK_FAILED)


@cities.command("check")
def check_command(
    packages: Annotated[list[str] | None, typer.Argument(help="Folders, or codes of cities.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that come with Jolaqy, against each other too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read packages and name every fault with file, line and remedy; exit code 4 when there is one.

    Example: jolaqy city check --all
    """
    named = [*(packages or ()), *(known_cities() if every else ())]
    if not named:
        fail("nothing to check", "name a folder, the code of a city, or --all", EXIT_USAGE)
    examined = _against_each_other({name: examine(folder_of(name)) for name in named})
    if as_json:
        print_json({"packages": [_view(name, each) for name, each in examined.items()]})
    else:
        _print_examined(examined)
    if any(each.faults for each in examined.values()):
        raise typer.Exit(EXIT_CHECK_FAILED)


def _view(name: str, examined: Examined) -> dict[str, Any]:
    return {
        "package": name,
        "code": examined.package and examined.package.code,
        "faults": [asdict(fault) for fault in examined.faults],
        "warnings": [asdict(warning) for warning in examined.warnings],
    }


def _print_examined(examined: dict[str, Examined]) -> None:
    for name, each in examined.items():
        for fault in each.faults:
            print(f"{name}/{fault}")
        for warning in each.warnings:
            note(f"{name}/{warning} (a warning)")
        if not each.faults:
            print(f"{name}: whole" + (f", {len(each.warnings)} warnings" if each.warnings else ""))


def _against_each_other(examined: dict[str, Examined]) -> dict[str, Examined]:
    """With a fault for each package that has a code, number or place of one before it."""
    seen: dict[tuple[str, object], tuple[str, str]] = {}
    found: dict[str, Examined] = {}
    for name, each in examined.items():
        faults = list(each.faults)
        for key in ("code", "number", "kato") if each.package else ():
            value = getattr(each.package, key)
            other, sha256 = seen.setdefault((key, value), (name, each.package.sha256 if each.package else ""))
            if other != name and each.package and each.package.sha256 != sha256:
                remedy = "give each city its own, unless these are two versions of one"
                faults.append(Fault("city.toml", 0, f"{key} {value} is that of {other} too", remedy))
        found[name] = Examined(None if faults else each.package, tuple(faults), each.warnings, each.files)
    return found


@cities.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the cities that come with Jolaqy or are loaded.

    Example: jolaqy city list
    """
    with open_office() as office:
        loaded = {}
        if current_revision(office.database) is not None:
            with office.database.reading() as session:
                loaded = {city.code: city.package_sha256 for city in list_cities(session)}
    rows = [_listed(read_package(package_folder(code)), loaded) for code in known_cities()]
    rows += [{"code": code, "loaded": "own package"} for code in sorted(set(loaded) - set(known_cities()))]
    if as_json:
        print_json({"cities": rows})
    else:
        columns = ("code", "number", "name", "kato", "fare", "example", "loaded")
        print_rows(
            "Cities", [column.capitalize() for column in columns], [[row.get(each) for each in columns] for row in rows]
        )


def _listed(package: CityPackage, loaded: dict[str, str]) -> dict[str, Any]:
    current = [price for price in package.prices if price.valid_until is None and price.category == 1]
    cashless = min((price.fare_minor for price in current if price.medium != "cash"), default=None)
    sha256 = loaded.get(package.code)
    state = "no" if sha256 is None else "yes" if sha256 == package.sha256 else "another version"
    return {
        "code": package.code,
        "number": package.number,
        "name": package.names["en"],
        "kato": package.kato,
        "iso_3166_2": package.iso_3166_2,
        "zone": package.zone,
        "fare": None if cashless is None else cashless // 100,
        "example": "yes" if any(price.example for price in current) else "",
        "loaded": state,
    }


@cities.command("diff")
def diff_command(package: PackageArgument, as_json: JsonOption = False) -> None:
    """Say what a package would change in the city that is loaded: in words, in money, and from when.

    Example: jolaqy city diff clearing/cities/almaty
    """
    read = package_or_fail(package)
    with open_office() as office, office.database.reading() as session:
        found = changes_of(session, read)
    if found is None:
        fail(f"{read.code} is not loaded", f"load it: jolaqy city load {package}", EXIT_NOTHING_FOUND)
    if as_json:
        print_json({"code": read.code, "changes": [asdict(change) for change in found]})
    else:
        print_changes(read.code, found)


def print_changes(code: str, found: Sequence[Change]) -> None:
    """Changes for people."""
    if not found:
        print(f"{code}: no change")
        return
    columns = ("About", "From", "Until", "Change", "Persons")
    rows = [
        (change.about, change.since or "at once", change.until, change.text, 2 if change.is_money else 1)
        for change in found
    ]
    print_rows(f"{code}: {len(found)} {'change' if len(found) == 1 else 'changes'}", columns, rows)


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(cities, name="city")
    app.add_typer(gtfs, name="gtfs")
