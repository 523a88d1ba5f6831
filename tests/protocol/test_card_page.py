"""The page of the card's layout says what the code writes, byte by byte."""

from __future__ import annotations

from pathlib import Path

from protocol.cards import card_layout as layout
from protocol.cards.card_layout import CardEvent
from tests.protocol.test_card_layout import environment

_PAGE = (Path(layout.__file__).parent / "CARD.md").read_text()


def rows(title: str) -> list[list[str]]:
    """Return the rows of the table under a title of the page, without its head."""
    lines = _PAGE.split("## " + title + "\n")[1].split("\n## ")[0].split("\n")
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    return found[2:]


def test_the_page_has_every_file() -> None:
    assert [int(row[0]) for row in rows("Files") if row[0].isdigit()] == [1, 2, 3, 4, 5, 6, 7, 15]


def test_the_page_has_the_fields_of_the_environment_where_they_are() -> None:
    good = environment()
    data = layout.encode_environment(good)
    values = {
        "card number": good.card_number,
        "city": b"\x00\x01",
        "category": b"\x00\x03",
        "expires": good.expires_s.to_bytes(4, "big"),
        "layout": b"\x02",
        "status": b"\x01",
        "concession until": good.concession_until_s.to_bytes(4, "big"),
        "pass 1": data[23:36],
        "pass 2": data[36:49],
        "pass 3": data[49:62],
    }
    end = 0
    for at, size, name, _ in rows("Environment"):
        assert int(at) == end, name
        end += int(size)
        assert data[int(at) : end] == values.get(name, bytes(int(size))), name
    assert end == layout.ENVIRONMENT_BYTES


def test_the_page_has_the_fields_of_an_event_where_they_are() -> None:
    event = CardEvent(layout.EVENT_TRIP, 0x01020304, b"desk", 0x05060708, 0x090A0B0C, 13, 14, 15, 16, 2, 17)
    data, end = event.encode(), 0
    values = {
        "kind": b"\x25",
        "time": b"\x01\x02\x03\x04",
        "line": b"\x00\x0f",
        "trip": b"\x00\x10",
        "product": b"\x00\x11",
        "writer": b"desk",
        "amount": b"\x05\x06\x07\x08",
        "sequence": b"\x00\x00\x00\x00\x0e",
        "balance": b"\x09\x0a\x0b\x0c",
        "counter": b"\x00\x00\x00\x0d",
    }
    for at, size, name, _ in rows("Event"):
        assert (int(at), data[int(at) : int(at) + int(size)]) == (end, values[name]), name
        end += int(size)
    assert end == layout.EVENT_BYTES


def test_the_page_has_every_kind_of_event_status_and_scope() -> None:
    kinds = {"ISSUED": 1, "PURSE": 2, "PASS": 3, "ACCOUNT": 4, "TRIP": 5, "TOP_UP": 6, "PASS_SOLD": 7, "STATUS": 8}
    assert {row[1]: int(row[0]) for row in rows("Kinds of event")} == kinds
    for name, value in kinds.items():
        assert getattr(layout, "EVENT_" + name, value) == value
    assert [row[1] for row in rows("Status")] == ["IN_USE", "BLOCKED", "RETIRED"]
    assert [row[1] for row in rows("Scope")] == ["EVERYWHERE", "LINE", "ZONES"]
