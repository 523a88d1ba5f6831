"""`jolaqy gtfs`: routes, stops and tariffs in and out of GTFS feeds. What is imported is a file for a person to look through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from clearing.cli import EXIT_CHECK_FAILED, EXIT_NOTHING_FOUND, JsonOption, fail, note, print_json
from clearing.endpoint import RefusedError
from clearing.network import fares_v2_import, gtfs_import
from clearing.network.fares_v2 import export_fares, table_text
from clearing.network.faults import listed
from clearing.network.gtfs_feed import FeedError, read_feed
from clearing.network.package import examine
from clearing.network.package_argument import PackageArgument, folder_of
from clearing.network.package_files import PackageFiles
from clearing.network.toml_writing import network_text, tariffs_text

gtfs = typer.Typer(help="GTFS feeds: routes, stops and tariffs, in and out.", no_args_is_help=True)

FeedArgument = Annotated[Path, typer.Argument(help="A GTFS feed: a zip file or a folder.")]
OutOption = Annotated[Path | None, typer.Option(help="File to write; it must not be there.")]


def _files_or_fail(package: str) -> PackageFiles:
    """A package's files; contradictions between them are no hindrance, since an import may be what ends them."""
    examined = examine(folder_of(package))
    if examined.files is None:
        fail(f"city package {package} cannot be read\n{listed(examined.faults)}", "correct it first", EXIT_CHECK_FAILED)
    return examined.files


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        fail(f"{path} is there already", "look through it, or take it away first")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}", "name another file with --out")


def _fail(error: RefusedError) -> None:
    fail(error.message, error.remedy, EXIT_CHECK_FAILED if isinstance(error, FeedError) else 1)


def _tell(path: Path, counts: dict[str, int], notes: Sequence[str], as_json: bool) -> None:
    if as_json:
        print_json({"file": str(path), **counts, "notes": list(notes)})
        return
    for each in notes:
        note(each)
    print(f"{path}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


@gtfs.command("import-network")
def import_network_command(
    feed: FeedArgument,
    package: PackageArgument,
    carrier: Annotated[str, typer.Option(help="Who drives all routes; otherwise each agency is a carrier.")] = "",
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the routes and stops of a feed as a network file beside the package's own; numbers of an earlier import stay.

    Example: jolaqy gtfs import-network feed.zip clearing/cities/taraz
    """
    before = _files_or_fail(package).network
    path = out or folder_of(package) / "network.gtfs.toml"
    try:
        found = gtfs_import.import_network(read_feed(feed, gtfs_import.TABLES), before, carrier)
        _write(path, network_text(found, feed.name))
    except RefusedError as error:
        return _fail(error)
    counts = {
        "carriers": len(found.carriers),
        "routes": len(found.routes),
        "stops": len(found.stops),
        "trips": sum(route.trips or 0 for route in found.routes),
    }
    return _tell(path, counts, found.notes, as_json)


@gtfs.command("import-fares")
def import_fares_command(
    feed: FeedArgument, package: PackageArgument, out: OutOption = None, as_json: JsonOption = False
) -> None:
    """Write the tariffs of a feed (Fares v2) as a tariffs file beside the package's own; what it cannot say is listed.

    Example: jolaqy gtfs import-fares feed.zip clearing/cities/taraz
    """
    network = _files_or_fail(package).network
    path = out or folder_of(package) / "tariffs.gtfs.toml"
    stops = {stop.gtfs_id or str(stop.number): stop.number for stop in network.stops}
    lines = {route.gtfs_id or str(route.number): route.number for route in network.routes}
    try:
        found = fares_v2_import.import_fares(read_feed(feed, fares_v2_import.TABLES), stops, lines)
        _write(path, tariffs_text(found, feed.name))
    except RefusedError as error:
        return _fail(error)
    return _tell(path, {"tariffs": len(found.tariffs)}, found.notes, as_json)


@gtfs.command("export-fares")
def export_fares_command(
    package: PackageArgument,
    out: Annotated[Path, typer.Option(help="Folder to write the files into; those there are not touched.")],
    as_json: JsonOption = False,
) -> None:
    """Write a package's tariffs as files of GTFS Fares v2, and list what these cannot say.

    Example: jolaqy gtfs export-fares astana --out fares
    """
    export = export_fares(_files_or_fail(package))
    taken = sorted(name for name in export.tables if (out / name).exists())
    if taken:
        fail(f"{out} has {', '.join(taken)} already", "name an empty folder with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{out} cannot be made: {error.strerror}", "name another folder with --out", EXIT_NOTHING_FOUND)
    for name, rows in export.tables.items():
        _write(out / name, table_text(name, rows))
    unsaid: list[dict[str, Any]] = [asdict(each) for each in export.unsaid]
    if as_json:
        print_json({"files": {name: len(rows) for name, rows in export.tables.items()}, "unsaid": unsaid})
        return
    for each in export.unsaid:
        note(f"not said: tariff {each.tariff}, {each.rule}: {each.text}")
    print(f"{out}: " + ", ".join(f"{name} ({len(rows)})" for name, rows in export.tables.items()))
