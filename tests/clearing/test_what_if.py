"""A proposed tariff is tried on rides that were made, and nothing changes by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from clearing.network.package import package_folder
from clearing.pricing.models import Fare
from clearing.pricing.proposal import read_proposal
from clearing.pricing.what_if import Outcome, try_tariff
from protocol.tap import (
    KIND_SINGLE,
    MEDIUM_BANK_CARD,
    MEDIUM_CASH,
    MEDIUM_TRANSPORT_CARD,
    PRODUCT_FAULT,
    PRODUCT_TRANSFER,
)
from tests.builders import CITY, DAY, NOW_S, Device, make_token
from tests.clearing.small_day import send

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders import Office
    from tests.clearing.command import Command

_NEW = """
[[tariff]]
valid_from = "2030-01-01"
source = "a proposal"
[tariff.cashless]
media = ["transport_card", "bank_card", "sms"]
fares_minor = { 1 = 12000, 3 = 6000, 4 = 0 }
concession_media = ["transport_card"]
[tariff.rules]
transfer = { within_s = 1800, rides = 1, fare_minor = 0 }
"""
_SPAN = {"first_day": DAY, "last_day": DAY}


@pytest.fixture
def ridden(office: Office) -> Office:
    """A day of four media and of cash: two that change buses, one pensioner, one with one ride."""
    office.clock.at_ms += 7_200_000
    device = office.enrol(Device(seed=1), "A-101")
    for card, minute, medium, category, taken_minor, product in (
        (1, 0, MEDIUM_TRANSPORT_CARD, 1, 10_000, 1),
        (1, 10, MEDIUM_TRANSPORT_CARD, 1, 10_000, 1),
        (2, 0, MEDIUM_BANK_CARD, 1, 10_000, 1),
        (2, 60, MEDIUM_BANK_CARD, 1, 0, PRODUCT_FAULT),
        (3, 5, MEDIUM_TRANSPORT_CARD, 4, 5_000, 1),
        (4, 7, MEDIUM_BANK_CARD, 1, 10_000, 1),
        (4, 9, MEDIUM_BANK_CARD, 1, 0, PRODUCT_TRANSFER),
        (None, 8, MEDIUM_CASH, 1, 20_000, 1),
    ):
        token: dict[str, Any] = {} if card is None else {"token": make_token(card), "token_key_version": 1}
        record = device.record(
            kind=KIND_SINGLE,
            medium=medium,
            category=category,
            fare_minor=taken_minor,
            product=product,
            tapped_at_s=NOW_S + 60 * minute,
            **token,
        )
        send(office, device, [record])
    return office


def test_a_trial_says_who_wins_and_who_loses_and_writes_nothing(ridden: Office) -> None:
    told: list[tuple[int, int]] = []
    with ridden.database.reading() as session:
        proposal = read_proposal(session, CITY, _NEW)
        trial = try_tariff(session, CITY, proposal, (DAY, DAY), progress=lambda done, total: told.append((done, total)))
        assert session.scalar(select(func.count()).select_from(Fare)) == 0
        assert not session.dirty
    assert trial.source == "a proposal"
    assert (trial.before.trips, trial.before.revenue_minor, trial.before.subsidy_minor) == (8, 65_000, 5_000)
    assert (trial.after.trips, trial.after.revenue_minor, trial.after.subsidy_minor) == (8, 56_000, 12_000)
    assert trial.difference_minor == -9_000
    assert trial.trips_not_taken == 1, "cash, which the proposal does not take, stays as it was"
    assert (str(trial.before.share_revenue_percent), str(trial.after.share_revenue_percent)) == ("69.23", "64.29")
    assert trial.outcomes == (
        Outcome(1, 7, 3, 1, 8_000, 8_000, 2, 4_000, 2_000, 60_000, 56_000),
        Outcome(4, 1, 1, 1, 5_000, 5_000, 0, 0, 0, 5_000, 0),
    )
    assert told[-1] == (8, 8)


def test_the_tariff_in_force_tried_on_its_own_days_changes_nothing(ridden: Office) -> None:
    text = (package_folder(CITY) / "tariffs.toml").read_text()
    with ridden.database.reading() as session:
        trial = try_tariff(session, CITY, read_proposal(session, CITY, text), (DAY, "2024-05-16"), dated=True)
    assert trial.before == trial.after or trial.difference_minor == 10_000, (
        "but for a transfer that the bus believed in"
    )
    assert [(each.winners, each.largest_win_minor) for each in trial.outcomes] == [(0, 0), (0, 0)]


def test_a_trial_over_http_and_by_command_says_the_same(ridden: Office, command: Command, tmp_path: Path) -> None:
    answer = ridden.client.post("/v1/tariffs/try", json={"city": CITY, "tariffs": _NEW, **_SPAN})
    assert answer.status_code == 200, answer.text
    assert answer.json()["difference_minor"] == -9_000
    file = tmp_path / "new.toml"
    file.write_text(_NEW)
    assert command.json("tariff", "try", str(file), "--from", DAY, "--to", DAY) == answer.json()
    code, shown, progress = command.run("tariff", "try", str(file), "--from", DAY, "--to", DAY)
    assert code == 0
    assert "difference: -90.00 ₸" in shown
    assert "8 of 8 records" in progress


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("12000", "-1"), "tariffs.toml:7"),
        (('"sms"]', '"horse"]'), "tariffs.toml:6"),
        (("within_s = 1800, ", ""), "within_s is missing"),
        (("[[tariff]]", "[[tarif]]"), "tarif is not known here"),
        (("source = ", "source ="[:-1]), "is not TOML"),
        (("concession_media = [", 'concession_media = ["qr", '), "concession_media qr is not among its media"),
        (("rides = 1", "rides = 1, media = ['cash']"), "names cash, which this tariff does not take"),
    ],
)
def test_a_proposal_with_a_fault_is_refused_with_its_line(office: Office, change: tuple[str, str], fault: str) -> None:
    assert change[0] in _NEW
    asked = {"city": CITY, "tariffs": _NEW.replace(*change), **_SPAN}
    answer = office.client.post("/v1/tariffs/try", json=asked)
    assert answer.status_code == 422
    assert fault in answer.json()["error"]["message"]


def test_a_trial_has_bounds(office: Office, command: Command, tmp_path: Path) -> None:
    asked = {"city": CITY, "tariffs": _NEW, **_SPAN}
    for wrong, status in (
        ({"first_day": "2024-01-01", "last_day": "2024-05-15"}, 422),
        ({"first_day": "2024-05-16", "last_day": "2024-05-15"}, 422),
        ({"dated": True}, 422),
        ({"city": "atlantis"}, 404),
        ({"tariffs": "x" * 200_001}, 422),
    ):
        assert office.client.post("/v1/tariffs/try", json=asked | wrong).status_code == status
    assert command.run("tariff", "try", str(tmp_path / "none"), "--from", DAY, "--to", DAY)[0] == 2
    file = tmp_path / "new.toml"
    file.write_bytes(_NEW.encode("utf-16"))
    assert command.run("tariff", "try", str(file), "--from", DAY, "--to", DAY)[0] == 2
    file.write_text(_NEW)
    assert command.run("tariff", "try", str(file), "--from", DAY, "--to", DAY)[0] == 3
    assert command.run("fare", "why", "tap/00/1/1")[0] == 3
    assert command.run("fare", "why", "tap/00/1/1", "--language", "de")[0] == 2
