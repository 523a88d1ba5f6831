"""Labels for vehicles: as sheets to print, as pictures, over HTTP; read back by zbar, and their text by a PDF reader."""

from __future__ import annotations

import io
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw
from pyzbar import pyzbar

from clearing.access.roles import Scope
from clearing.access.service import issue_token
from clearing.cli import EXIT_NOTHING_FOUND, EXIT_USAGE
from clearing.endpoint import InvalidError
from clearing.media.labels import label_png, label_sheets, label_svg, make_label
from clearing.network.models import Vehicle
from clearing.network.service import list_vehicles
from protocol.qr.vehicle_label import is_printed, read_label
from tests.builders import CITY, NOW_MS, Office

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clearing.command import Command


def _vehicle(code: str = "A-101") -> Vehicle:
    return Vehicle(city=CITY, code=code, carrier="alatau", line=1)


def _read(image: Image.Image) -> list[str]:
    return [found.data.decode() for found in pyzbar.decode(image, symbols=[pyzbar.ZBarSymbol.QRCODE])]


def _drawn(svg: str) -> Image.Image:
    """The picture that a drawing of unit squares stands for."""
    side = int(re.search(r'viewBox="0 0 (\d+) ', svg)[1])  # type: ignore[index]
    image = Image.new("L", (side * 6, side * 6), 255)
    for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", svg):
        left, top = int(x) * 6, int(y) * 6
        ImageDraw.Draw(image).rectangle((left, top, left + 5, top + 5), fill=0)
    return image


def test_a_picture_holds_the_link_of_its_vehicle(office: Office) -> None:
    label = make_label(office.keys, _vehicle())
    assert _read(Image.open(io.BytesIO(label_png(label)))) == [label.link]
    assert _read(_drawn(label_svg(label))) == [label.link]
    read = read_label(label.link)
    assert (read.city, read.vehicle, is_printed(read, office.keys.qr_master)) == (CITY, "A-101", True)


@pytest.mark.parametrize("code", ["Б-101", "A 101", "A/101", "", "A" * 33])
def test_a_code_that_no_label_can_hold_is_refused(office: Office, code: str) -> None:
    with pytest.raises(InvalidError, match="can have no label"):
        make_label(office.keys, _vehicle(code))


def test_sheets_say_each_code_in_kazakh_and_russian_and_can_be_scanned(office: Office, tmp_path: Path) -> None:
    with office.database.reading() as session:
        labels = [make_label(office.keys, vehicle) for vehicle in list_vehicles(session, CITY)]
    assert len(labels) == 12
    (tmp_path / "labels.pdf").write_bytes(label_sheets(labels, NOW_MS))
    said = subprocess.run(
        ["pdftotext", "-layout", "labels.pdf", "-"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert said.count("\f") == 2, "eight labels on a sheet"
    for label in labels:
        assert said.count(label.vehicle) == 3, "in large letters, and in each sentence about SMS"
    assert said.count("Жол ақысын телефонмен төлеңіз") == said.count("Оплатите проезд телефоном") == 12
    subprocess.run(["pdftoppm", "-r", "150", "-gray", "labels.pdf", "sheet"], cwd=tmp_path, check=True)
    read = [text for path in sorted(tmp_path.glob("sheet-*.pgm")) for text in _read(Image.open(path))]
    assert sorted(read) == sorted(label.link for label in labels)


def test_the_same_labels_are_the_same_sheets(office: Office) -> None:
    labels = [make_label(office.keys, _vehicle())]
    assert label_sheets(labels, NOW_MS) == label_sheets(labels, NOW_MS)


def test_the_commands_write_sheets_and_pictures(command: Command, office: Office, tmp_path: Path) -> None:
    out = tmp_path / "labels.pdf"
    said: dict[str, Any] = command.json("labels", "print", "--city", CITY, "--carrier", "medeu", "--out", str(out))
    assert sorted(said["labels"]) == [f"A-{number}" for number in range(107, 113)]
    assert out.read_bytes().startswith(b"%PDF-")
    link = make_label(office.keys, _vehicle("A-107")).link
    assert said["labels"]["A-107"] == link
    picture = tmp_path / "A-107.png"
    assert link in command.run("labels", "draw", "A-107", "--out", str(picture))[1]
    assert _read(Image.open(picture)) == [link]
    for words, code in (
        (("print", "--carrier", "nobody", "--out", str(out)), EXIT_NOTHING_FOUND),
        (("print", "--city", "nowhere", "--out", str(out)), EXIT_NOTHING_FOUND),
        (("draw", "A-999", "--out", str(picture)), EXIT_NOTHING_FOUND),
        (("draw", "A-107", "--out", "label.gif"), EXIT_USAGE),
        (("print", "--out", str(tmp_path / "nowhere" / "labels.pdf")), 1),
    ):
        assert command.run("labels", *words)[0] == code


def test_a_rider_is_told_whose_label_it_is_before_paying(office: Office) -> None:
    label = read_label(make_label(office.keys, _vehicle()).link)
    answer = office.client.get(f"/v1/labels/{label.city}/{label.vehicle}/{label.check}")
    assert answer.json() == {"city": CITY, "vehicle": "A-101", "line": 1, "carrier": "alatau"}
    for path in (f"{CITY}/A-102/{label.check}", f"{CITY}/A-101/000000", f"nowhere/A-101/{label.check}"):
        assert office.client.get(f"/v1/labels/{path}").status_code == 404
    drawn = office.client.get(f"/v1/labels/{CITY}/A-101.svg")
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert _read(_drawn(drawn.text)) == [make_label(office.keys, _vehicle()).link]
    assert office.client.get(f"/v1/labels/{CITY}/A-999.svg").status_code == 404


def test_an_app_of_one_city_issues_nothing_in_another(office: Office) -> None:
    with office.database.writing() as session:
        token = issue_token(session, "app", "service", [Scope("app", "astana")], NOW_MS)
    headers = {"authorization": f"Bearer {token}"}
    ticket = {"reference": "T-1", "city": CITY, "category": 1, "expires_s": NOW_MS // 1000 + 60}
    assert office.client.post("/v1/tickets", json=ticket, headers=headers).status_code == 403
    payment = {"reference": "P-1", "city": CITY, "code": "JQ2:"}
    assert office.client.post("/v1/screen-receipts", json=payment, headers=headers).status_code == 403
    assert office.client.get(f"/v1/labels/{CITY}/A-101.svg", headers=headers).status_code == 403
