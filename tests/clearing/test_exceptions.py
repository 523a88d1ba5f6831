"""The exceptions list: each case says what to do, is answered once, by somebody, and is found by program, command and page."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clearing import ingest
from clearing.access.roles import Scope
from clearing.access.service import issue_token
from clearing.dashboard.language import LANGUAGES
from clearing.ingest.exceptions import NOTE_CHARACTERS_MAX, REMEDIES
from protocol.tap import CLOCK_UNKNOWN, KIND_TAMPER
from tests.builders import CITY, DAY, NOW_MS, Device, Office

if TYPE_CHECKING:
    import httpx

    from tests.clearing.command import Command


def _list(office: Office, **asked: str | int | bool) -> list[dict[str, Any]]:
    answer = office.client.get("/v1/exceptions", params={"city": CITY, **asked})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["exceptions"]
    return found


def _page(office: Office, path: str, **headers: str) -> str:
    answer = office.client.get(path, headers={"accept": "text/html", "accept-language": "en"} | headers)
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2])))


def _resolve(office: Office, number: int, note: str, **headers: str) -> httpx.Response:
    return office.client.post(f"/v1/exceptions/{number}/resolution", json={"note": note}, headers=headers)


@pytest.fixture
def cases(office: Office, device: Device) -> list[dict[str, Any]]:
    """A tap without a clock, a report of tampering, and another history."""
    clone = device.copy()
    records = [
        device.record(clock_quality=CLOCK_UNKNOWN),
        device.record(kind=KIND_TAMPER, medium=None, fare_minor=None, boot=2),
    ]
    office.send(device, device.message(records))
    office.send(clone, clone.message([clone.record(fare_minor=100)]))
    found = _list(office)
    assert [each["reason"] for each in found] == ["clock_unknown", "tamper", "fork"]
    return found


def test_every_reason_says_what_to_do() -> None:
    folder = Path(ingest.__file__).parents[1]
    given = set()
    for path in folder.rglob("*.py"):
        given |= set(re.findall(r'Suspicion\(\s*"([a-z_]+)"', path.read_text()))
    assert given == set(REMEDIES)


def test_a_case_says_where_it_happened_and_what_to_do(device: Device, cases: list[dict[str, Any]]) -> None:
    first = cases[0]
    assert (first["device"], first["vehicle"], first["service_day"]) == (device.id.hex(), "A-101", DAY)
    assert first["remedy"] == REMEDIES["clock_unknown"]
    assert (first["resolved_at_ms"], first["resolved_by"], first["resolution"]) == (None, None, None)


def test_cases_are_found_by_day_reason_and_state(office: Office, cases: list[dict[str, Any]]) -> None:
    assert len(_list(office, day=DAY)) == 3
    assert _list(office, day="2024-05-14") == []
    assert [each["reason"] for each in _list(office, reason="fork")] == ["fork"]
    _resolve(office, cases[0]["id"], "battery replaced")
    assert [each["reason"] for each in _list(office, resolved=True)] == ["clock_unknown"]
    assert [each["reason"] for each in _list(office, resolved=False)] == ["tamper", "fork"]
    assert [each["id"] for each in _list(office, after=cases[0]["id"], limit=1)] == [cases[1]["id"]]
    assert office.client.get("/v1/exceptions", params={"city": CITY, "day": "soon"}).status_code == 422


def test_who_resolved_a_case_when_and_with_which_note_stays(office: Office, cases: list[dict[str, Any]]) -> None:
    office.clock.at_ms += 5000
    answer = _resolve(office, cases[1]["id"], "  a driver cleaned it ")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["resolved_by"], shown["resolution"]) == ("local", "a driver cleaned it")
    assert shown["resolved_at_ms"] == NOW_MS + 5000
    again = _resolve(office, cases[1]["id"], "no, it was opened")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    assert _list(office, reason="tamper")[0]["resolution"] == "a driver cleaned it"
    audit = office.client.get("/v1/audit").json()
    assert audit["records"][-1]["action"] == "exception.resolve"
    assert "a driver cleaned it" in audit["records"][-1]["detail"]
    assert audit["faults"] == []


@pytest.mark.parametrize("note", ["", "   ", "x" * (NOTE_CHARACTERS_MAX + 1)])
def test_a_case_is_not_resolved_without_a_word(office: Office, cases: list[dict[str, Any]], note: str) -> None:
    assert _resolve(office, cases[0]["id"], note).status_code == 422
    assert len(_list(office, resolved=False)) == 3


def test_a_case_that_is_not_there_is_not_found(office: Office) -> None:
    assert _resolve(office, 999, "nothing").status_code == 404
    assert office.client.get("/v1/exceptions/999/conflicts").status_code == 404


def test_an_operator_of_another_city_resolves_nothing_here(office: Office, cases: list[dict[str, Any]]) -> None:
    with office.database.writing() as session:
        token = issue_token(session, "far", "person", [Scope("operator", "astana")], NOW_MS)
    headers = {"authorization": f"Bearer {token}"}
    assert _resolve(office, cases[0]["id"], "mine", **headers).status_code == 403
    assert office.client.get(f"/v1/exceptions/{cases[2]['id']}/conflicts", headers=headers).status_code == 403
    answer = office.client.post(f"/exceptions/{cases[0]['id']}", data={"note": "mine"}, headers=headers)
    assert answer.status_code == 403
    assert len(_list(office, resolved=False)) == 3


def test_contradicting_records_are_shown_beside_each_other(office: Office, cases: list[dict[str, Any]]) -> None:
    conflicts = office.client.get(f"/v1/exceptions/{cases[2]['id']}/conflicts").json()["conflicts"]
    assert len(conflicts) == 1
    assert conflicts[0]["sequence"] == 1
    assert (conflicts[0]["stored"]["fare_minor"], conflicts[0]["claimed"]["fare_minor"]) == (20_000, 100)
    words = _page(office, "/exceptions?reason=fork")
    assert "Contradicting records" in words
    assert "₸200.00" in words
    assert "₸1.00" in words


def test_the_page_shows_the_cases_and_takes_the_answer(office: Office, cases: list[dict[str, Any]]) -> None:
    words = _page(office, "/exceptions")
    assert "Open in this city: 3." in words
    for said in ("The bus did not know the time", "Opened or altered", "Two histories", "bus A-101", "What to do:"):
        assert said in words
    answer = office.client.post(
        f"/exceptions/{cases[0]['id']}", data={"note": "battery <b>replaced</b>"}, follow_redirects=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"/exceptions?city={CITY}")
    assert "Open in this city: 2." in _page(office, "/exceptions")
    page = office.client.get(
        "/exceptions?state=resolved", headers={"accept": "text/html", "accept-language": "en"}
    ).text
    assert "battery &lt;b&gt;replaced&lt;/b&gt;" in page
    assert "local, May 15, 2024" in page
    assert office.client.post(f"/exceptions/{cases[0]['id']}", data={"note": "again"}).status_code == 409
    assert office.client.post(f"/exceptions/{cases[1]['id']}", data={}).status_code == 422
    assert "Nothing to look into" in _page(office, "/exceptions?day=2024-05-14")


def test_the_page_comes_in_every_language(office: Office, cases: list[dict[str, Any]]) -> None:
    assert cases
    for code in LANGUAGES:
        answer = office.client.get(f"/exceptions?state=all&lang={code}", headers={"accept": "text/html"})
        assert answer.status_code == 200
        assert f'<html lang="{code}">' in answer.text
        assert answer.text.count('class="exception"') == 3


def test_a_page_of_somebody_else_resolves_nothing(office: Office, cases: list[dict[str, Any]]) -> None:
    headers = {"origin": "https://elsewhere.example"}
    assert office.client.post(f"/exceptions/{cases[0]['id']}", data={"note": "x"}, headers=headers).status_code == 401


def test_a_reader_who_may_not_resolve_sees_no_form(office: Office, cases: list[dict[str, Any]]) -> None:
    assert cases
    with office.database.writing() as session:
        token = issue_token(session, "reader", "person", [Scope("auditor")], NOW_MS)
    headers = {"authorization": f"Bearer {token}"}
    assert "What came out of it" not in _page(office, "/exceptions", **headers)
    assert "What came out of it" in _page(office, "/exceptions")


def test_the_commands_list_and_resolve(command: Command, cases: list[dict[str, Any]]) -> None:
    assert [each["id"] for each in command.json("exceptions", "list")["exceptions"]] == [each["id"] for each in cases]
    number = str(cases[0]["id"])
    resolved = command.json("exceptions", "resolve", number, "--note", "battery replaced")
    assert resolved["resolution"] == "battery replaced"
    assert command.run("exceptions", "resolve", number, "--note", "again")[0] == 5
    assert command.run("exceptions", "resolve", "999", "--note", "x")[0] == 3
    assert command.run("exceptions", "resolve", number)[0] == 2
    assert command.run("exceptions", "resolve", number, "--note", " ")[0] == 1
    code, output, _ = command.run("exceptions", "list", "--reason", "tamper", "--day", DAY)
    assert code == 0
    assert "A-101" in output
    assert command.run("exceptions", "list", "--reason", "nonsense")[0] == 2
    assert command.run("exceptions", "list", "--day", "soon")[0] == 2
    assert command.run("exceptions", "list", "--day", "2024-05-14")[0] == 3
    assert "battery" in command.run("exceptions", "list", "--resolved")[1]
    said = command.run("exceptions", "resolve", str(cases[1]["id"]), "--note", "closed again")
    assert said[:2] == (0, f"resolved: tamper of {DAY}\n")
