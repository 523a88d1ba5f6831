"""The pages: what they say is what the services know, in three languages, for those who may read it, and safely."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from string import Formatter

import pytest

from clearing import dashboard
from clearing.access.roles import Scope
from clearing.access.service import issue_token
from clearing.acquiring.states import AUTHORISED, CLOSED, DEBT, DEBT_FINAL, OPEN
from clearing.dashboard.language import LANGUAGES, choose_language, language, read_texts
from clearing.fleet.documents import WIRE_MEDIA
from clearing.ingest.exceptions import REMEDIES
from clearing.ledger.chart import CHART
from clearing.network.loading import load_package
from clearing.network.models import City
from clearing.network.package import package_folder, read_package
from clearing.pricing.reasons import RULES
from clearing.reconciliation.breaks import STATES
from clearing.reconciliation.causes import CAUSES
from protocol.decision_names import DECISION_NAMES
from protocol.decisions import DECISION_INSUFFICIENT_FUNDS
from tests.builders import CITY, DAY, NOW_MS, NOW_S, Device, Office
from tests.clearing.pages import ask, read, words

_DAY_MS = 86_400_000
_FOLDER = Path(dashboard.__file__).parent
_PAGES = ("/", "/closes", f"/closes/{CITY}/{DAY}", "/share", "/rides", "/breaks", "/balance")
_SAFE = "default-src 'none'; script-src 'self'; style-src 'self'"


def _ride(office: Office, device: Device) -> None:
    """Two cash rides of 200 ₸, one of 100 ₸ by card, and a refusal."""
    records = [device.record(), device.record(), *device.card_ride(1, counter=5)]
    office.send(device, device.message([*records, device.refusal(DECISION_INSUFFICIENT_FUNDS)]))


def _close(office: Office) -> str:
    office.clock.at_ms = max(office.clock.at_ms, NOW_MS + _DAY_MS)
    answer = office.client.post("/v1/closes", json={"city": CITY, "day": DAY})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["sha256"])


def _token(office: Office, *scopes: Scope) -> dict[str, str]:
    with office.database.writing() as session:
        return {"authorization": f"Bearer {issue_token(session, 'reader', 'person', scopes, NOW_MS)}"}


def _add_city(office: Office, code: str) -> None:
    package = replace(read_package(package_folder(CITY)), code=code, number=2, names={"en": code.title()})
    with office.database.writing() as session:
        load_package(session, package)


# What the pages say.


def test_the_day_so_far_is_what_came_in(office: Office, device: Device) -> None:
    _ride(office, device)
    said = read(office, "/")
    for phrase in (
        "Almaty Wednesday, May 15, 2024 · so far",
        "Rides cleared 3 ₸500.00",
        "Cashless share by trips 33.33% By revenue: 20.00%",
        "Taps accepted 3 Taps refused: 1",
        "Validators heard from 1 of 1 silent for over an hour: 0",
        "Last sync 08:00:00 May 15, 2024",
        "To be looked into 0",
        "Cash 2 ₸400.00 Transport card 1 ₸100.00 Total 3 ₸500.00",
        "not enough money on the card 1",
    ):
        assert phrase in said


def test_a_validator_that_is_silent_is_counted(office: Office, device: Device) -> None:
    _ride(office, device)
    office.clock.at_ms += 2 * 3_600_000
    assert "silent for over an hour: 1" in read(office, "/")


def test_a_record_that_cannot_be_read_is_to_be_looked_into(office: Office, device: Device) -> None:
    device.next_sequence += 1
    office.send(device, device.message([b"\xa0"]))
    assert "To be looked into 1" in read(office, "/")


def test_a_decision_that_this_service_has_no_word_for_is_shown_by_its_number(office: Office, device: Device) -> None:
    office.send(device, device.message([device.refusal(999)]))
    assert "code 999 1" in read(office, "/")


def test_a_city_without_taps_says_so(office: Office) -> None:
    said = read(office, "/")
    assert "No taps yet" in said
    assert "Validators heard from 0 of 0" in said
    assert "Last sync –" in said
    assert "No day is closed yet" in read(office, "/closes")
    assert "No rides in this period" in read(office, "/share")


def test_a_day_without_anything_shows_the_last_one_with_rides_and_says_so(office: Office, device: Device) -> None:
    _ride(office, device)
    office.clock.at_ms += 900 * _DAY_MS
    said = read(office, "/")
    assert "Nothing has come in for November 1, 2026 yet. This is the last day with rides." in said
    assert "Wednesday, May 15, 2024" in said
    assert "Rides cleared 3" in said
    asked = read(office, "/?day=2026-11-01")
    assert "No taps yet" in asked
    assert "last day with rides" not in asked
    assert "Nothing came in on this day" in read(office, "/?day=2024-05-14")


def test_a_day_with_nothing_but_an_sms_is_a_day_with_rides(office: Office) -> None:
    sms = {"reference": "R-1", "msisdn": "77011234567", "text": "A-101", "sent_at_s": NOW_S}
    assert office.client.post("/v1/sms", json=sms).status_code == 200
    office.clock.at_ms += 2 * _DAY_MS
    assert "SMS 1 ₸100.00" in read(office, "/")


def test_a_closed_day_is_listed_and_shown_with_its_entries(office: Office, device: Device) -> None:
    _ride(office, device)
    sha256 = _close(office)
    assert "May 15, 2024 version 1 3 ₸500.00 33.33%" in read(office, "/closes")
    said = read(office, f"/closes/{CITY}/{DAY}")
    for phrase in (
        "Wednesday, May 15, 2024 Almaty · version 1 · provisional · closed May 16, 2024, 08:00:00",
        "Taps refused 1",
        "Debits with unknown outcome 0",
        "Cash 2 ₸400.00 Transport card 1 ₸100.00 Total 3 ₸500.00",
        "Alatau Bus Depot 3 ₸500.00",
        "Alatau Bus Depot: Cash",
        "Cash held, Alatau Bus Depot asset:till:almaty:alatau ₸400.00",
        "✓ balanced ₸400.00 ₸400.00",
        sha256,
    ):
        assert phrase in said
    assert "does not balance" not in said
    link = f"/v1/closes/{CITY}/{DAY}?version=1"
    assert f'href="{link}"' in ask(office, f"/closes/{CITY}/{DAY}").text
    assert office.client.get(link).json()["sha256"] == sha256


def test_a_further_version_shows_its_difference_and_the_one_before(office: Office, device: Device) -> None:
    _ride(office, device)
    first = _close(office)
    office.send(device, device.message([device.record()]))
    second = _close(office)
    said = read(office, f"/closes/{CITY}/{DAY}")
    assert "Difference to version 1 Rides +1 Fares +₸200.00" in said
    assert second in said
    older = read(office, f"/closes/{CITY}/{DAY}?version=1")
    assert "This is an earlier version. The newest is version 2" in older
    assert first in older


def test_the_share_is_shown_by_day_with_its_definitions(office: Office, device: Device) -> None:
    _ride(office, device)
    said = read(office, "/share")
    assert "Almaty · April 16, 2024 – May 15, 2024" in said
    assert "May 15, 2024 open 33.33% 1 of 3 20.00% ₸100.00 of ₸500.00" in said
    assert "trips/1 Rides not paid in cash" in said
    assert "revenue/1 Fares charged" in said
    _close(office)
    assert "May 15, 2024 closed 33.33%" in read(office, "/share")
    assert "No rides in this period" in read(office, "/share?from=2024-05-16&to=2024-05-20")
    assert "No rides in this period" in read(office, "/share?from=2024-05-20&to=2024-05-01")
    assert "May 15, 2024 closed" in read(office, "/share?from=&to=")


def test_the_chart_draws_what_the_table_says(office: Office, device: Device) -> None:
    _ride(office, device)
    row = re.search(r'<tr data-day="May 15"\s+data-trips="33.33"\s+data-revenue="20.00">', ask(office, "/share").text)
    assert row is not None


# Languages.


def test_every_page_comes_in_every_language(office: Office, device: Device) -> None:
    _ride(office, device)
    _close(office)
    for code in LANGUAGES:
        for path in _PAGES:
            answer = ask(office, f"{path}?lang={code}")
            assert answer.status_code == 200
            assert f'<html lang="{code}">' in answer.text
            assert "₸" in words(answer)
            assert "KZT" not in answer.text


@pytest.mark.parametrize(
    ("asked", "remembered", "accepted", "chosen"),
    [
        ("ru", "en", "kk", "ru"),
        (None, "en", "kk", "en"),
        (None, None, "ru-KZ,ru;q=0.9,en;q=0.8", "ru"),
        (None, None, "de, en;q=0.5, ru;q=0.7", "ru"),
        (None, None, "EN-GB", "en"),
        (None, None, "ru;q=0, en;q=0.1", "en"),
        (None, None, "de, *;q=0.5", "kk"),
        (None, None, "ru;q=much", "kk"),
        (None, None, "", "kk"),
        ("de", "xx", "", "kk"),
    ],
)
def test_a_language_is_chosen_by_address_then_memory_then_browser(
    asked: str | None, remembered: str | None, accepted: str, chosen: str
) -> None:
    assert choose_language(asked, remembered, accepted) == chosen


def test_a_language_asked_for_in_the_address_is_remembered(office: Office) -> None:
    cookie = ask(office, "/?lang=ru").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert '<html lang="ru">' in ask(office, "/closes").text
    assert "set-cookie" not in ask(office, "/?lang=xx").headers


def test_the_switcher_keeps_what_was_asked_for(office: Office) -> None:
    assert 'href="?day=2024-05-01&amp;lang=ru" hreflang="ru"' in ask(office, "/?day=2024-05-01").text


def _account_key(pattern: str) -> str:
    _, name, _, *whose = pattern.split(":")
    return (f"receivable_{whose[0]}" if name == "receivable" else name).replace("-", "_")


def _keys_used() -> set[str]:
    """Keys that templates name, and those that they put together from a kind and a name."""
    templates = "\n".join(path.read_text() for path in (_FOLDER / "templates").iterdir())
    named = set(re.findall(r"""\bt\(["']([a-z]+\.[a-z0-9_]+)["'][),]""", templates))
    kinds = set(re.findall(r"""\bt\(["']([a-z]+\.(?:[a-z]+_)?)["'] ~""", templates))
    names = {
        "site.": ["today", "rides", "exceptions", "breaks", "closes", "balance", "parties", "charges", "share"],
        "exceptions.state_": ["open", "resolved", "all"],
        "reason.": REMEDIES,
        "remedy.": REMEDIES,
        "medium.": [*WIRE_MEDIA, "sms", "other"],
        "decision.": DECISION_NAMES.values(),
        "account.": [_account_key(row.pattern) for row in CHART],
        "subject.": ["top_ups", "concessions", "commissions", "pools", "transfers", "adjustments"],
        "error.title_": ["401", "403", "404", "409", "422", "500"],
        "error.text_": ["401", "403", "404", "409", "422", "500"],
        "advice.": CAUSES,
        "cause.": CAUSES,
        "charge.": [OPEN, AUTHORISED, CLOSED, DEBT, DEBT_FINAL],
        "close.state_": ["provisional", "final"],
        "event.": ["opened", "amount", "reopened", *STATES[1:]],
        "operation.": ["verify", "authorise", "capture", "refund", "payment", "chargeback"],
        "outcome.": ["asked", "refused", "done"],
        "payouts.state_": ["proposed", "approved", "rejected"],
        "proof.": ["proven", "wrong", "missing"],
        "role.": ["acquirer", "agent", "bank", "carrier", "cash", "qr_provider", "sms_aggregator", "top_up"],
        "rule.": RULES,
        "status.": ["at_risk", *STATES, "all"],
    }
    assert kinds == set(names)
    return named | {kind + name for kind, found in names.items() for name in found}


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_text_is_there_in_every_language_and_is_used(code: str) -> None:
    texts = read_texts(code)
    assert set(texts) == _keys_used()
    assert all(text.strip() == text != "" for text in texts.values())


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_translation_has_the_same_places_for_values(code: str) -> None:
    def places(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text)} - {None}

    english = read_texts("en")
    assert {key: places(text) for key, text in read_texts(code).items()} == {
        key: places(text) for key, text in english.items()
    }


@pytest.mark.parametrize(
    ("code", "amount_minor", "written"),
    [
        ("kk", 123_456_750, "1 234 567,50 ₸"),
        ("ru", 123_456_750, "1 234 567,50 ₸"),
        ("en", 123_456_750, "₸1,234,567.50"),
        ("ru", -5, "-0,05 ₸"),
        ("en", -5, "-₸0.05"),
        ("kk", 0, "0,00 ₸"),
    ],
)
def test_money_is_written_as_each_language_does_and_always_with_its_sign(
    code: str, amount_minor: int, written: str
) -> None:
    assert language(code).money(amount_minor).replace("\u00a0", " ") == written


# Who may read.


@pytest.mark.parametrize("path", _PAGES)
def test_a_reader_without_the_permission_sees_a_page_that_says_so(office: Office, path: str) -> None:
    headers = _token(office, Scope("technician"))
    answer = ask(office, path, **headers)
    assert answer.status_code == 403
    assert "Not for you" in words(answer)
    assert "Нет доступа" in words(ask(office, f"{path}?lang=ru", **headers))


def test_a_reader_of_one_city_sees_that_one(office: Office) -> None:
    _add_city(office, "zhanga")
    headers = _token(office, Scope("operator", "zhanga"))
    assert "Zhanga" in read(office, "/", **headers)
    assert "Almaty" not in read(office, "/", **headers)
    assert ask(office, f"/?city={CITY}", **headers).status_code == 403
    assert ask(office, f"/closes/{CITY}/{DAY}", **headers).status_code == 403


def test_a_reader_of_several_cities_can_choose(office: Office) -> None:
    _add_city(office, "zhanga")
    first = ask(office, "/").text
    assert 'href="/?city=zhanga"' in first
    second = ask(office, "/closes?city=zhanga").text
    assert 'href="/share?city=zhanga"' in second
    assert ask(office, "/?city=nowhere").status_code == 404


def test_somebody_unknown_is_told_how_to_get_in(office: Office) -> None:
    answer = ask(office, "/", authorization="Bearer wrong")
    assert answer.status_code == 401
    assert "Who are you?" in words(answer)


# Errors, and what a page may do.


def test_a_person_gets_a_page_and_a_program_gets_json(office: Office) -> None:
    assert "There is nothing here" in words(ask(office, "/nowhere"))
    for answer in (office.client.get("/nowhere"), ask(office, f"/v1/closes/{CITY}/{DAY}")):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/closes/{CITY}/2024-05-14", 404),
        (f"/closes/{CITY}/{DAY}?version=7", 404),
        ("/closes/nowhere/2024-05-15", 404),
        (f"/closes/{CITY}/yesterday", 422),
        (f"/closes/{CITY}/{DAY}?version=-1", 422),
        ("/?day=2024-02-30", 422),
        ("/?day=0001-01-01", 422),
        ("/share?from=99999-01-01", 422),
    ],
)
def test_an_address_that_leads_nowhere_is_answered_with_a_page(office: Office, path: str, status: int) -> None:
    answer = ask(office, path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


def test_a_name_cannot_become_part_of_the_page(office: Office, device: Device) -> None:
    _ride(office, device)
    evil = "<script>alert(1)</script>\"' onload=x"
    with office.database.writing() as session:
        session.get_one(City, CITY).names_json = json.dumps({"en": evil})
    for path in ("/", "/closes", "/share"):
        page = ask(office, path).text
        assert "<script>alert" not in page
        assert html.escape(evil, quote=False)[:30] in page


@pytest.mark.parametrize(
    "path", ["/%3Cscript%3Ealert(1)%3C/script%3E", "//evil.example/x", '/?lang="><script>alert(1)</script>']
)
def test_an_address_cannot_become_part_of_the_page(office: Office, path: str) -> None:
    page = ask(office, f"http://127.0.0.1:8000{path}").text
    assert "<script>alert" not in page
    assert "evil.example" not in page


def test_a_page_runs_nothing_but_files_of_this_service(office: Office, device: Device) -> None:
    _ride(office, device)
    _close(office)
    for path in (*_PAGES, "/nowhere"):
        answer = ask(office, path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith(_SAFE)
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert re.findall(r"<script(?![^>]*\ssrc=\"/static/)", answer.text) == []
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=", answer.text) == []
        assert re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text) == []


def test_every_file_that_a_page_names_is_served(office: Office, device: Device) -> None:
    _ride(office, device)
    named = {name for path in ("/", "/share") for name in re.findall(r'"(/static/[^"]+)"', ask(office, path).text)}
    assert len(named) >= 6
    for name in sorted(named):
        assert office.client.get(name).status_code == 200, f"{name}: .ci/get-web-assets brings what is in vendor/"


@pytest.mark.parametrize("path", ["/static/../pages.py", "/static/%2e%2e/pages.py", "/static/nothing.js", "/static/"])
def test_only_files_of_the_static_folder_are_served(office: Office, path: str) -> None:
    assert office.client.get(path).status_code == 404


def test_web_assets_are_pinned_and_name_no_registry() -> None:
    wanted = json.loads((_FOLDER / "package.json").read_text())["dependencies"]
    locked = json.loads((_FOLDER / "package-lock.json").read_text())["packages"]
    for name, version in wanted.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    for name, entry in locked.items():
        assert "resolved" not in entry
        assert name == "" or entry["integrity"].startswith("sha512-")
