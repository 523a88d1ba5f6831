"""A package in a city that is loaded: what it changes, who must agree, and which days nobody can touch any more."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from clearing.access.models import AuditRecord
from clearing.access.roles import Scope
from clearing.access.service import caller_by_token, decide_approval, issue_token, local_caller
from clearing.endpoint import ConflictError
from clearing.fleet.documents import issue_fare_tables
from clearing.network.dated_rules import rules_on
from clearing.network.difference import changes, state_of
from clearing.network.loading import bring_in, changes_of, load_package, loaded_state
from clearing.network.models import RouteStop, Vehicle
from clearing.network.package import examine, known_cities, package_folder, read_package
from clearing.network.parties import CarrierAccount, Names, Operator, Parties
from clearing.network.service import fares_on, list_stops, parties_of, store_parties
from clearing.schema import migrate
from tests.builders import CITY, NOW_MS

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from clearing.access.roles import Caller
    from clearing.database import Database
    from tests.builders import Office
    from tests.clearing.command import Command

_NEW_TARIFF = """
[[tariff]]
valid_from = "2025-01-01"
source = "a decision of the city"
[tariff.cashless]
media = ["transport_card", "bank_card", "phone_nfc", "qr", "qr_screen", "sms"]
fares_minor = { 1 = 15000, 2 = 6000, 3 = 6000, 4 = 6000, 5 = 0 }
concession_media = ["transport_card", "qr"]
[tariff.rules]
quotas = { 4 = 2 }

# Rules of the ride"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(package_folder(CITY), tmp_path / CITY)


def _change(folder: Path, file: str, before: str, after: str) -> None:
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1))


def _raise_fares(folder: Path) -> None:
    """From 2025 on an adult pays 150 tenge instead of 120, and pensioners ride free twice a day."""
    last = 'valid_from = "2024-08-03"\n'
    _change(folder, "tariffs.toml", last, f'{last}valid_until = "2024-12-31"\n')
    _change(folder, "tariffs.toml", "\n# Rules of the ride", _NEW_TARIFF)


def _local(session: Session) -> Caller:
    caller = local_caller(session)
    assert caller is not None
    return caller


def _approve(database: Database, number: int) -> None:
    with database.writing() as session:
        token = issue_token(session, "second", "person", [Scope("approver")], NOW_MS)
        second = caller_by_token(session, token)
        assert second is not None
        decide_approval(session, second, NOW_MS, number, approve=True)


def test_the_package_that_is_loaded_changes_nothing(database: Database, folder: Path) -> None:
    with database.reading() as session:
        assert changes_of(session, read_package(folder)) == []


def test_every_package_is_loaded_as_it_is_written(database: Database) -> None:
    with database.writing() as session:
        for city in known_cities():
            package = read_package(package_folder(city))
            load_package(session, package)
            state = loaded_state(session, city)
            assert state is not None
            assert changes(state, state_of(package)) == changes(state_of(package), state) == []
            assert (state.facts, state.places, state.payees) == (
                (wanted := state_of(package)).facts,
                wanted.places,
                wanted.payees,
            )
            assert parties_of(session, city) == package.parties


def test_a_tariff_change_is_said_in_words_and_money_and_from_when(database: Database, folder: Path) -> None:
    _raise_fares(folder)
    with database.reading() as session:
        found = changes_of(session, read_package(folder))
    assert found is not None
    assert [(each.about, each.since, each.until, each.is_money) for each in found] == [
        ("tariff", "2025-01-01", None, True),
        ("rules", "2025-01-01", None, True),
        ("rules", "2025-01-01", None, True),
    ]
    fare, passes, quotas = found
    assert (fare.before_minor, fare.after_minor) == (12_000, 15_000)
    assert fare.text == (
        "rider category 1 by bank_card, phone_nfc, qr, qr_screen, sms, transport_card: 120.00 tenge -> 150.00 tenge"
    )
    assert passes.text.startswith("passes: {")
    assert passes.text.endswith("-> none"), "the new tariff forgot the passes, and that is seen"
    assert quotas.text == 'quotas: none -> {"4": 2}'


def test_a_tariff_that_is_only_cut_in_two_is_no_change(database: Database, folder: Path) -> None:
    package = read_package(folder)
    halves = [
        half
        for price in package.prices
        for half in (
            dataclasses.replace(price, valid_until="2024-12-31"),
            dataclasses.replace(price, valid_from="2025-01-01"),
        )
        if price.valid_until is None
    ]
    ((first, last, table),) = (each for each in package.dated_rules if each[1] is None)
    cut = dataclasses.replace(
        package,
        prices=(*(price for price in package.prices if price.valid_until is not None), *halves),
        dated_rules=(*package.dated_rules[:-1], (first, "2024-12-31", table), ("2025-01-01", last, table)),
    )
    with database.reading() as session:
        assert changes_of(session, cut) == []


def test_a_change_of_money_needs_two_persons(database: Database, folder: Path) -> None:
    _raise_fares(folder)
    package = read_package(folder)
    with database.writing() as session:
        asked = bring_in(session, _local(session), package, NOW_MS, None)
        assert (asked.is_loaded, fares_on(session, CITY, "2025-01-01")[("qr", 1)]) == (False, 12_000)
    assert asked.waits_for_approval is not None
    with database.writing() as session:
        again = bring_in(session, _local(session), package, NOW_MS, None)
        assert (again.is_loaded, again.waits_for_approval) == (False, asked.waits_for_approval)
    _approve(database, asked.waits_for_approval)
    with database.writing() as session:
        done = bring_in(session, _local(session), package, NOW_MS, "2024-12-31")
        assert (done.is_loaded, len(done.changes)) == (True, 3)
        assert fares_on(session, CITY, "2025-01-01")[("qr", 1)] == 15_000
        assert fares_on(session, CITY, "2024-12-31")[("qr", 1)] == 12_000
        assert rules_on(session, CITY, "2025-01-01").quotas == {4: 2}
        said = session.scalars(select(AuditRecord).where(AuditRecord.action == "city.load")).one()
        assert json.loads(said.detail_json)["sha256"] == package.sha256


def test_an_approval_is_for_these_bytes_alone(database: Database, folder: Path) -> None:
    _raise_fares(folder)
    with database.writing() as session:
        asked = bring_in(session, _local(session), read_package(folder), NOW_MS, None)
    assert asked.waits_for_approval is not None
    _approve(database, asked.waits_for_approval)
    _change(folder, "tariffs.toml", "1 = 15000, 2 = 6000", "1 = 16000, 2 = 6000")
    with database.writing() as session:
        other = bring_in(session, _local(session), read_package(folder), NOW_MS, None)
    assert not other.is_loaded
    assert other.waits_for_approval not in {None, asked.waits_for_approval}


def test_an_approval_is_for_the_step_from_what_was_loaded_then(database: Database, folder: Path) -> None:
    between = read_package(folder)
    _raise_fares(folder)
    package = read_package(folder)
    with database.writing() as session:
        asked = bring_in(session, _local(session), package, NOW_MS, None)
    assert asked.waits_for_approval is not None
    _approve(database, asked.waits_for_approval)
    with database.writing() as session:
        load_package(session, dataclasses.replace(between, prices=between.prices[:3], sha256="another"))
        later = bring_in(session, _local(session), package, NOW_MS, None)
    assert not later.is_loaded
    assert later.waits_for_approval not in {None, asked.waits_for_approval}


def test_money_of_a_closed_day_is_not_touched(database: Database, folder: Path) -> None:
    _change(folder, "tariffs.toml", "fares_minor = { 1 = 12000", "fares_minor = { 1 = 13000")
    _change(folder, "parties.toml", "commission_bp = 1000", "commission_bp = 900")
    with database.writing() as session, pytest.raises(ConflictError) as refused:
        bring_in(session, _local(session), read_package(folder), NOW_MS, "2024-08-03")
    assert "120.00 tenge -> 130.00 tenge" in refused.value.message
    assert "commission_bp: 1000 -> 900 (from 2000-01-01)" in refused.value.message
    assert "after 2024-08-03" in refused.value.remedy


def test_what_is_no_money_needs_nobody_else(database: Database, folder: Path) -> None:
    _change(folder, "network.toml", 'ru = "Медеу Транс", en = "Medeu Transport"', 'ru = "Медеу", en = "Medeu"')
    _change(folder, "network.toml", '"A-112"]', '"A-112", "A-113"]\nplates = { A-113 = "123 ABC 02" }')
    with database.writing() as session:
        done = bring_in(session, _local(session), read_package(folder), NOW_MS, "2026-01-01")
        assert [(change.text, change.is_money) for change in done.changes] == [
            ("carrier medeu: Medeu Transport / Медеу көлігі / Медеу Транс -> Medeu / Медеу көлігі / Медеу", False),
            ("vehicle A-113 is new: line 4, 123 ABC 02", False),
        ]
        assert done.is_loaded
        assert session.get_one(Vehicle, (CITY, "A-113")).plate == "123 ABC 02"


def test_a_vehicle_that_changes_its_carrier_changes_money(database: Database, folder: Path) -> None:
    _change(folder, "network.toml", '"A-103"]', '"A-103", "A-112"]')
    _change(folder, "network.toml", '"A-111", "A-112"]', '"A-111"]')
    with database.reading() as session:
        found = changes_of(session, read_package(folder))
    assert found is not None
    assert [change.text for change in found if change.is_money] == [
        "fares of vehicle A-112 are owed to alatau instead of medeu"
    ]


def test_a_city_that_is_loaded_keeps_its_number_and_zone(database: Database, folder: Path) -> None:
    _change(folder, "city.toml", "number = 1", "number = 77")
    with database.writing() as session, pytest.raises(ConflictError, match="number: 1 -> 77"):
        bring_in(session, _local(session), read_package(folder), NOW_MS, "2024-05-15")


def test_who_took_part_on_an_old_day_is_remembered(database: Database) -> None:
    names = Names(kk="x", ru="x", en="x")
    with database.writing() as session:
        before = parties_of(session, CITY)
        cheaper = Operator(code="oper", names=names, commission_bp=500)
        store_parties(session, CITY, before.model_copy(update={"valid_from": "2024-06-01", "operators": (cheaper,)}))
        assert parties_of(session, CITY, "2024-05-31").operators[0].commission_bp == 1000
        assert parties_of(session, CITY, "2024-06-01").operators[0].commission_bp == 500
        assert parties_of(session, CITY).operators[0].commission_bp == 500
        store_parties(session, CITY, before)
        assert parties_of(session, CITY, "2024-06-01") == before, (
            "what is said anew from the beginning is said of all days"
        )


def test_parties_that_are_said_to_hold_from_earlier_on_are_a_change_of_money(database: Database) -> None:
    package = read_package(package_folder(CITY))
    with database.writing() as session:
        store_parties(session, CITY, package.parties.model_copy(update={"valid_from": "2024-06-01"}))
        found = changes_of(session, package)
    assert found is not None
    (change,) = found
    assert (change.is_money, change.since) == (True, "2000-01-01")


def test_parties_answer_who_clears_pays_and_collects() -> None:
    parties = read_package(package_folder("astana")).parties
    assert [operator.code for operator in parties.operators] == ["oper", "suburban"]
    found = {carrier: parties.operator_of(carrier, "qr", 1) for carrier in ("tulpar", "dala", "nobody")}
    assert {carrier: operator and operator.code for carrier, operator in found.items()} == {
        "tulpar": "oper",
        "dala": "suburban",
        "nobody": None,
    }
    assert parties.commission_bp("tulpar", "qr", 1) == 1000
    assert parties.commission_bp("nobody", "qr", 1) == 0
    payer = parties.payer_of(2, "2024-08-01")
    assert payer is not None
    assert payer.code == "akimat"
    assert parties.payer_of(1, "2024-08-01") is None
    assert parties.qr_provider("qr-provider") is not None
    assert (parties.sms_aggregator("nobody"), parties.agent("nobody")) == (None, None)


def test_a_carrier_may_have_a_commission_of_its_own() -> None:
    base = read_package(package_folder(CITY)).parties
    account = base.carriers[0]
    own = CarrierAccount.model_validate({**account.model_dump(), "commission_bp": 300})
    parties = base.model_copy(update={"carriers": (own, *base.carriers[1:])})
    assert parties.commission_bp(own.code, "qr", 1) == 300
    assert parties.commission_bp(base.carriers[1].code, "qr", 3) == 1000


def test_a_city_of_which_nothing_is_said_has_the_defaults() -> None:
    assert Parties.model_validate_json(Parties().model_dump_json(by_alias=True)) == Parties()
    assert (Parties().acquirer, Parties().close.final_after_days) == (None, 14)


def test_stops_are_loaded_in_the_order_of_their_route(database: Database) -> None:
    with database.writing() as session:
        load_package(session, read_package(package_folder("astana")))
        assert [stop.number for stop in list_stops(session, "astana")] == [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14]
        suburban = session.scalars(
            select(RouteStop.stop).where(RouteStop.city == "astana", RouteStop.line == 301).order_by(RouteStop.place)
        )
        assert list(suburban) == [1, 3, 11, 12, 13, 14]


def test_the_commands_check_list_compare_and_load(command: Command, folder: Path) -> None:
    checked = command.json("city", "check", "--all")["packages"]
    assert len(checked) == 20
    assert all(each["faults"] == each["warnings"] == [] for each in checked)
    listed = {each["code"]: each["loaded"] for each in command.json("city", "list")["cities"]}
    assert (listed["almaty"], listed["astana"]) == ("yes", "no")
    _raise_fares(folder)
    assert [change["since"] for change in command.json("city", "diff", str(folder))["changes"]] == ["2025-01-01"] * 3
    code, _, errors = command.run("city", "load", str(folder))
    assert code == 1
    assert "a second person must approve request" in errors
    assert command.run("city", "diff", "astana")[0] == 3
    assert command.json("city", "load", "astana")["is_loaded"]
    assert command.json("city", "diff", "astana")["changes"] == []
    assert command.run("city", "check")[0] == 2
    assert command.run("city", "check", "atlantis")[0] == 2


def test_a_package_with_faults_is_exit_4_and_loads_nothing(command: Command, folder: Path) -> None:
    _change(folder, "network.toml", "line = 4", "line = 44")
    code, output, _ = command.run("city", "check", str(folder))
    assert code == 4
    assert re.search(r"/network.toml:[0-9]+: vehicle A-110: no route 44; write a \[\[route\]\]", output)
    code, _, errors = command.run("city", "load", str(folder))
    assert code == 4
    assert "no route 44" in errors


def test_two_packages_of_one_number_are_refused(command: Command, folder: Path) -> None:
    _change(folder, "city.toml", 'code = "almaty"', 'code = "elsewhere"')
    code, output, _ = command.run("city", "check", "almaty", str(folder))
    assert code == 4
    assert "number 1 is that of almaty too" in output


def test_migrating_leaves_a_package_that_changes_money_to_two_persons(command: Command, database: Database) -> None:
    with database.writing() as session:
        package = read_package(package_folder(CITY))
        dearer = tuple(dataclasses.replace(price, fare_minor=price.fare_minor + 1) for price in package.prices)
        load_package(session, dataclasses.replace(package, prices=dearer, sha256="other"))
    done = command.json("db", "migrate", "--city", CITY)
    assert (done["cities_loaded"], done["cities_waiting"]) == ([], [CITY])


def test_network_tariffs_and_parties_can_be_asked_for(office: Office) -> None:
    network = office.client.get("/v1/network", params={"city": CITY}).json()
    assert (network["kato"], network["iso_3166_2"], network["stops"]) == ("750000000", "KZ-75", [])
    tariffs = office.client.get("/v1/tariffs", params={"city": CITY}).json()["tariffs"]
    assert [tariff["valid_from"] for tariff in tariffs] == ["2017-08-01", "2023-08-21", "2024-08-03"]
    assert tariffs[2]["fares_minor"]["qr"]["1"] == 12_000
    assert tariffs[2]["rules"]["pass"][0]["price_minor"] == 990_000
    parties = office.client.get("/v1/parties", params={"city": CITY, "day": "2024-05-15"}).json()["parties"]
    assert parties["operator"][0]["commission_bp"] == 1000
    assert office.client.get("/v1/parties", params={"city": CITY, "day": "May"}).status_code == 422


def test_changes_are_none_between_a_package_and_itself() -> None:
    for city in known_cities():
        examined = examine(package_folder(city))
        assert examined.package is not None
        assert changes(state_of(examined.package), state_of(examined.package)) == []


def test_a_city_of_the_schema_before_keeps_what_it_has_until_its_package_is_loaded(empty_database: Database) -> None:
    migrate(empty_database, "0006")
    with empty_database.writing_engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO city (code, number, names_json, zone, currency, rules_json, package_sha256) "
                "VALUES ('almaty', 1, '{\"en\":\"Almaty\"}', 'Asia/Almaty', 'KZT', '{}', 'old')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO tariff (city, valid_from, medium, category, fare_minor, source) "
                "VALUES ('almaty', '2024-08-03', 'qr', 1, 12000, 'x')"
            )
        )
    migrate(empty_database)
    package = read_package(package_folder(CITY))
    with empty_database.writing() as session:
        assert parties_of(session, CITY) == Parties(), "nobody is known yet"
        assert fares_on(session, CITY, "2024-08-03") == {("qr", 1): 12_000}
        found = changes_of(session, package)
        assert found is not None
        assert not [change for change in found if change.about == "parties"], "whom nobody knew, nobody changes"
        assert load_package(session, package)
        assert parties_of(session, CITY) == package.parties
        assert changes_of(session, package) == []


def test_every_city_has_fare_tables_for_its_buses(office: Office) -> None:
    with office.database.writing() as session:
        for city in known_cities():
            load_package(session, read_package(package_folder(city)))
            assert issue_fare_tables(session, office.keys, city, NOW_MS), city
