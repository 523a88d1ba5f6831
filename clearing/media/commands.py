"""Commands of media: `jolaqy labels print` and `jolaqy labels draw`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearing.cli import (
    EXIT_NOTHING_FOUND,
    EXIT_USAGE,
    AsOfOption,
    CityOption,
    JsonOption,
    fail,
    open_office,
    print_json,
)
from clearing.fleet.key_commands import keys_or_fail
from clearing.media.labels import label_png, label_sheets, label_svg, make_label
from clearing.network.service import city_of, list_vehicles

labels = typer.Typer(help="Labels for vehicles.", no_args_is_help=True)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")


@labels.command("print")
def print_command(
    out: Annotated[Path, typer.Option(help="PDF to write.")],
    city: CityOption = "almaty",
    carrier: Annotated[str, typer.Option(help="Only vehicles of this carrier.")] = "",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Write sheets of labels to stick into vehicles: the code for SMS, and a QR code for apps; A4 with cut marks.

    Example: jolaqy labels print --city almaty --carrier alatau --out labels.pdf
    """
    with open_office(as_of) as office:
        keys = keys_or_fail(office)
        with office.database.reading() as session:
            city_of(session, city)
            vehicles = [each for each in list_vehicles(session, city) if carrier in {"", each.carrier}]
        if not vehicles:
            fail(f"there is no vehicle of {carrier} in {city}", "look at the city package", EXIT_NOTHING_FOUND)
        made = [make_label(keys, vehicle) for vehicle in vehicles]
        _write(out, label_sheets(made, office.clock.now_ms()))
    if as_json:
        print_json({"city": city, "labels": {each.vehicle: each.link for each in made}, "out": str(out)})
    else:
        print(f"{out}: {len(made)} labels")


@labels.command("draw")
def draw_command(
    vehicle: Annotated[str, typer.Argument(help="Vehicle, such as A-101.")],
    out: Annotated[Path, typer.Option(help="Picture to write: .png or .svg.")],
    city: CityOption = "almaty",
    as_json: JsonOption = False,
) -> None:
    """Write the QR code of one label as a picture.

    Example: jolaqy labels draw A-101 --out A-101.svg
    """
    if out.suffix not in {".png", ".svg"}:
        fail(f"{out} is neither .png nor .svg", "choose one of the two", EXIT_USAGE)
    with open_office() as office:
        keys = keys_or_fail(office)
        with office.database.reading() as session:
            found = {each.code: each for each in list_vehicles(session, city_of(session, city).code)}
        if vehicle not in found:
            fail(f"there is no vehicle {vehicle} in {city}", "look at the city package", EXIT_NOTHING_FOUND)
        label = make_label(keys, found[vehicle])
        _write(out, label_png(label) if out.suffix == ".png" else label_svg(label).encode())
    if as_json:
        print_json({"city": city, "vehicle": vehicle, "link": label.link, "out": str(out)})
    else:
        print(f"{out}: {label.link}")


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(labels, name="labels")
