"""Virtual cards in a file, and the commands that write and read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from simulator.__main__ import app
from simulator.card_images import ImagesDamaged, read_card_images, write_card_images
from simulator.keys import derive_keys, read_keys
from simulator.sample_cards import blank_card, sample_transit_card

if TYPE_CHECKING:
    from pathlib import Path


def test_cards_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "cards.jsonl"
    cards = [sample_transit_card(), blank_card(5)]
    write_card_images(path, cards)
    assert [card.to_image() for card in read_card_images(path)] == [card.to_image() for card in cards]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["no card", "5", "{}", '{"uid": "zz"}', '{"uid": 5}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cards.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(ImagesDamaged):
        read_card_images(path)
    result = CliRunner().invoke(app, ["day", "--cards", str(path)])
    assert result.exit_code == 2
    assert "jolaqy-sim card --keep" in result.stderr


def test_the_keys_of_a_simulated_city_are_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    assert CliRunner().invoke(app, ["keys", str(folder), "--seed", "7"]).exit_code == 0
    assert read_keys(folder) == derive_keys(7)
    assert json.loads((folder / "keys.json").read_text())["key_version"] == 1
    again = CliRunner().invoke(app, ["keys", str(folder), "--seed", "8"])
    assert again.exit_code == 1
    assert "name another folder" in again.stderr
    assert read_keys(folder) == derive_keys(7)


@pytest.mark.parametrize(
    "arguments",
    [
        ["visa", "--udp", "0", "--count", "2"],
        ["visa", "--pcsc", "--keep", "cards"],
        ["blank", "--udp", "0", "--count", "2"],
    ],
)
def test_only_blank_cards_come_in_numbers(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["card", *arguments])
    assert result.exit_code == 2
    assert "leave them out" in result.stderr
