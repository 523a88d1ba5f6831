"""The specification names every message, limit, status, kind, medium and decision that the code has, with the same number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from protocol import ack, batch, cbor, cose, decisions, keyset, limits, tap
from protocol.tap import Tap

if TYPE_CHECKING:
    from types import ModuleType

_FOLDER = Path(cbor.__file__).parent
_SPEC = (_FOLDER / "SPEC.md").read_text()
_ROWS = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in _SPEC.splitlines() if line[:1] == "|"
]


def _names(module: ModuleType, prefix: str) -> dict[str, int]:
    found = {name.removeprefix(prefix): value for name, value in vars(module).items() if name.startswith(prefix)}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _section(title: str) -> str:
    return _SPEC.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _keys_in(text: str) -> list[int]:
    return [int(match) for match in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]


@pytest.mark.parametrize(
    ("module", "prefix"),
    [(ack, "STATUS_"), (tap, "KIND_"), (tap, "MEDIUM_"), (decisions, "DECISION_"), (keyset, "ROLE_")],
)
def test_every_code_has_a_row_with_its_number(module: ModuleType, prefix: str) -> None:
    names = _names(module, prefix)
    assert len(names) >= 7
    for name, number in names.items():
        assert any(row[:2] == [str(number), name] for row in _ROWS), name


def test_every_limit_has_a_row_with_its_value() -> None:
    rows = {row[2]: row[1].split()[0] for row in _ROWS if len(row) == 3 and row[1]}
    for name, value in _names(limits, "").items():
        assert rows[name] == str(value)


def test_every_kind_of_message_is_named() -> None:
    kinds = {value for name, value in vars(cose).items() if name.startswith("TYP_")}
    assert kinds == {row[0] for row in _ROWS if len(row) == 4 and row[1] in {"device", "service"}}


def test_every_key_of_a_message_has_a_row() -> None:
    titles = (
        ("Batch", 14),
        ("Fare table", 7),
        ("Medium list", 8),
        ("List delta", 7),
        ("Card authorities", 5),
        ("Rotation", 5),
        ("Retirement", 6),
        ("Key bundle", 6),
    )
    for title, keys in titles:
        assert _keys_in(_section(title)) == list(range(keys))
    assert _keys_in(_section("Fare rules")) == list(range(1, 10))
    assert _keys_in(_section("Key set").split("| Role |")[0]) == list(range(5))
    assert _keys_in(_section("Ack").split("| Status |")[0]) == list(range(12))
    assert _keys_in(_section("Record").split("| Kind |")[0]) == list(range(24))
    assert _keys_in(_section("Enrolment")) == [*range(6), *range(10)]


def test_every_field_of_a_record_is_named() -> None:
    fields = set(re.findall(r"`([a-z_]+)`", _section("Record").split("| Kind |")[0]))
    assert fields >= set(Tap.__slots__)


def test_what_the_code_calls_a_section_is_one() -> None:
    named = {
        title
        for folder in (_FOLDER, _FOLDER.parent / "firmware")
        for path in folder.rglob("*.py")
        for title in re.findall(r'SPEC\.md "([^"]+)"', path.read_text())
    }
    assert named
    assert named <= set(re.findall(r"^## (.+)$", _SPEC, re.MULTILINE))


def test_versions_are_one() -> None:
    assert batch.BATCH_VERSION == ack.ACK_VERSION == tap.RECORD_VERSION == 1
