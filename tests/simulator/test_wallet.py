"""What riders hold, held before a real validator; and what that validator lets out about them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from protocol.tokens import LABEL_BANK, medium_token
from simulator.riders import ADULT, Boarding, Rider
from simulator.wallet import Wallet, bank_card_number, msisdn
from simulator.world import World
from tests.builders import NOW_MS
from tests.simulator.street import SEED, drive_bus, serve
from tests.system.town import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator.bus import Bus
    from tests.simulator.street import Office

_MEDIA = ("transport_card", "bank_card", "qr", "cash")


def _rider(number: int, medium: str, mishap: str = "", trouble: str = "") -> Rider:
    return Rider(number, medium, ADULT, trouble, (Boarding(480, 1, 101, mishap),))


@pytest.fixture
def world() -> World:
    return World(SEED, NOW_MS)


@pytest.fixture
def wire(office: Office) -> Iterator[Wire]:
    wire = Wire(office.service.address)
    yield wire
    wire.close()


@pytest.fixture
def bus(office: Office, world: World, wire: Wire, tmp_path: Path) -> Iterator[Bus]:
    office.clock.set(NOW_MS)
    bus = drive_bus(office, world, tmp_path / "bus", "cpython", wire.address)
    serve(bus, [], 60_000)
    yield bus
    bus.process.close()


def _wallets(office: Office, world: World, riders: list[Rider]) -> list[Wallet]:
    city = office.service.get("/v1/network", city="almaty")["number"]
    return [Wallet(rider, city, office.keys, world) for rider in riders]


def _ride(bus: Bus, wallets: list[Wallet]) -> None:
    serve(bus, [wallet.turn(wallet.rider.boardings[0], random.Random(1)) for wallet in wallets], 120_000)


def test_every_medium_is_accepted_and_shows_its_fare(bus: Bus, office: Office, world: World) -> None:
    wallets = _wallets(office, world, [_rider(number, medium) for number, medium in enumerate(_MEDIA, 1)])
    _ride(bus, wallets)
    accepted = {acceptance.medium: acceptance.fare_minor for acceptance in bus.accepted.values()}
    assert accepted == {"transport_card": 10_000, "bank_card": 10_000, "qr": 10_000, "cash": 20_000}
    card = wallets[0].transit_card
    assert card is not None
    assert card.committed_debits_minor == [10_000]
    assert card.balance_minor == wallets[0].purse_minor - 10_000


def test_a_mishap_befalls_the_first_try_and_the_next_one_is_paid_once(bus: Bus, office: Office, world: World) -> None:
    riders = [
        _rider(11, "transport_card", "torn"),
        _rider(12, "transport_card", "two_cards"),
        _rider(13, "qr", "screenshot"),
    ]
    _ride(bus, _wallets(office, world, riders))
    assert sorted(acceptance.medium for acceptance in bus.accepted.values()) == [
        "qr",
        "transport_card",
        "transport_card",
    ]
    assert bus.presented > len(riders)
    assert bus.unsettled == 0


def test_what_is_wrong_with_a_medium_all_day_is_refused(bus: Bus, office: Office, world: World) -> None:
    riders = [
        _rider(21, "transport_card", trouble="empty_purse"),
        _rider(22, "transport_card", trouble="foreign"),
        _rider(23, "qr", trouble="unknown"),
    ]
    _ride(bus, _wallets(office, world, riders))
    assert bus.accepted == {}
    assert sum(bus.refused.values()) == 3


def test_the_validator_lets_no_card_number_and_no_uid_out(
    bus: Bus, office: Office, world: World, wire: Wire, tmp_path: Path
) -> None:
    wallets = _wallets(office, world, [_rider(number, medium) for number, medium in enumerate(_MEDIA, 31)])
    _ride(bus, wallets)
    serve(bus, [], 20 * 60_000)
    assert len(bus.accepted) == 4
    kept = {path.name: path.read_bytes() for path in (tmp_path / "bus").iterdir()}
    kept |= {"wire": b"".join(wire.passed), "log": "\n".join(bus.process.log).encode()}
    transit, bank = wallets[0].transit_card, wallets[1].bank_card
    assert transit is not None
    assert bank is not None
    secrets = [bank_card_number(32), transit.card_number.hex(), transit.uid.hex(), bank.uid.hex()]
    for place, data in kept.items():
        text = data.hex() + data.decode("latin-1").lower()
        assert not [secret for secret in secrets if secret in text], place
    # What stands for them is there.
    for wallet in wallets[:2]:
        assert wallet.token is not None
        assert wallet.token in kept["flash.bin"]
        assert wallet.token in kept["wire"]


def test_identities_are_nobodys_and_each_riders_own() -> None:
    numbers = [bank_card_number(number) for number in range(1, 2000)]
    assert len(set(numbers)) == len({msisdn(number) for number in range(1, 2000)}) == 1999
    for number in numbers:
        digits = [int(digit) for digit in reversed(number)]
        doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
        assert (sum(digits[::2]) + sum(doubled)) % 10 == 0
        assert (len(number), number[:6]) == (16, "999999")
    assert {(len(msisdn(number)), msisdn(number)[:5]) for number in range(1, 2000)} == {(12, "+7000")}


def test_a_token_is_of_the_number_as_it_is_packed_on_the_card(office: Office, world: World) -> None:
    (wallet,) = _wallets(office, world, [_rider(5, "bank_card")])
    packed = bytes.fromhex(bank_card_number(5) + "FFFF")
    assert wallet.token == medium_token(office.keys["token_key"], LABEL_BANK, packed)
