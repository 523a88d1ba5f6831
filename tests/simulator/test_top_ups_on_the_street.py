"""Money that is paid in for a card comes onto it on a real validator, by a real service, and both have books that agree."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from protocol.cards.card_layout import Environment
from protocol.qr.ticket import DAY_S
from protocol.tokens import LABEL_TRANSIT, medium_token
from simulator.desfire_card import DesfireCard
from tests.builders import NOW_S
from tests.simulator.street import CITY, Stand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulator.street import Office

VEHICLE = "A-107"
AMOUNT_MINOR = 500_000
BALANCE_MINOR = 300_000
_SYNC_MS = 400_000
# Of a ride and a top-up behind it, the last one is the commit.
_COMMANDS = 9 + 5


@pytest.fixture(params=["micropython", "micropython32"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stand(runtime: str, office: Office, tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(office, tmp_path / "validator", runtime)
    stand.enrol(VEHICLE)
    yield stand
    stand.process.close()


@pytest.fixture
def card(request: pytest.FixtureRequest, office: Office) -> DesfireCard:
    """A card of its own for each test: the service remembers all of them."""
    number = hashlib.sha256(request.node.name.encode()).digest()[:8]
    environment = Environment(number, 1, 1, NOW_S + DAY_S)
    return DesfireCard.personalise(b"\x04" + number[:6], environment, BALANCE_MINOR, office.keys)


def pay_in(office: Office, card: DesfireCard) -> Any:  # noqa: ANN401 - JSON
    token = medium_token(office.keys["token_key"], LABEL_TRANSIT, card.card_number).hex()
    order = {
        "reference": token,
        "token": token,
        "amount_minor": AMOUNT_MINOR,
        "at_s": NOW_S,
        "city": CITY,
        "on_bus": True,
    }
    return office.service.post("/v1/top-ups", order)["status"]


def hold(stand: Stand, card: DesfireCard) -> list[str]:
    """Hold a card for as long as a rider does who is told to, and return what was shown."""
    heard = len(stand.heard)
    stand.chip.present(card, stand.now_ms, None)
    stand.run_for(5_000)
    stand.chip.remove(card)
    stand.run_for(2_000)
    return [line[len("show ") :] for line in stand.heard[heard:] if line.startswith("show ")]


def reasons(office: Office) -> list[str]:
    """What is on the exceptions list for the validator that is mounted now."""
    (device,) = {
        each["device"]
        for each in office.service.get("/v1/validators")["validators"]
        if each["vehicle"] == VEHICLE and each["status"] == "active"
    }
    found = office.service.get("/v1/exceptions", city=CITY)["exceptions"]
    return [each["reason"] for each in found if each["device"] == device]


def test_a_top_up_that_was_paid_in_comes_onto_the_card_once(office: Office, stand: Stand, card: DesfireCard) -> None:
    assert pay_in(office, card) == "waiting"
    stand.boot()
    stand.run_for(_SYNC_MS)
    stand.network.covered = False
    shown = hold(stand, card)
    assert (shown[0].split()[0], shown[1:]) == ("ok", ["hold on", "later"]), stand.process.log
    stand.network.covered = True
    shown = hold(stand, card)
    balance_minor = card.balance_minor
    assert [each.split()[0] for each in shown] == ["again", "hold", "loaded"], stand.process.log
    assert shown[2].split()[2:] == [str(AMOUNT_MINOR), str(balance_minor)]
    assert balance_minor == BALANCE_MINOR + AMOUNT_MINOR - sum(card.committed_debits_minor)
    stand.run_for(_SYNC_MS)
    assert pay_in(office, card) == "applied"
    assert reasons(office) == []
    assert [each.split()[0] for each in hold(stand, card)] in (["ok"], ["again"]), "it has left the list"
    assert card.committed_credits_minor[1:] == [AMOUNT_MINOR]


def test_a_card_that_is_torn_away_at_the_commit_is_loaded_once_and_the_service_knows(
    office: Office, stand: Stand, card: DesfireCard
) -> None:
    pay_in(office, card)
    stand.boot()
    stand.run_for(_SYNC_MS)
    card.tear_at(_COMMANDS, carried_out=True)
    assert hold(stand, card)[-1] == "later", stand.process.log
    stand.process.kill()
    stand.boot()
    stand.run_for(2_000)
    assert hold(stand, card)[0].split()[0] == "loaded"
    stand.run_for(_SYNC_MS)
    assert (pay_in(office, card), reasons(office)) == ("applied", [])
    assert card.committed_credits_minor[1:] == [AMOUNT_MINOR]
