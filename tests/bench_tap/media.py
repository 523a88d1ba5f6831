"""What riders hold before the validator in this bench, and what the model knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator import timing
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.wallet import bank_card_number
from tests.simulator.validator_bench import make_card, make_ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.timing import CardWork
    from tests.bench_tap.recording import Medium

# Fewer than make a batch: none is sent while riders are served.
_RIDERS = 10
_ISSUERS = 7
_ISSUER_STEP = 10_000_000


@dataclass(frozen=True)
class Ride:
    """One kind of tap.

    Attributes:
        name: of the medium.
        riders: makes the media of some riders.
        warm_up: how many riders are served first, so that what is kept between riders is there.
        works: how their cards work, by what they are made of; a code has none.
        target_ms: for 99 of 100 taps.
        firmware_target_ms: of it, for the firmware.
    """

    name: str
    riders: Callable[[], list[Medium]]
    warm_up: int
    works: dict[str, CardWork | None]
    target_ms: int
    firmware_target_ms: int | None


def _bank_cards(application: bytes, issuers: int) -> list[Medium]:
    """Cards of so many issuers in turn: each its own card number."""
    return [
        EmvCard(
            b"\x08" + rider.to_bytes(3, "big"),
            bank_card_number(rider % issuers * _ISSUER_STEP + rider),
            "3012",
            application,
        )
        for rider in range(_RIDERS + 1)
    ]


_PLASTIC_AND_PHONE: dict[bytes, dict[str, CardWork | None]] = {
    VISA_LIKE: {"plastic": timing.VISA_PLASTIC, "phone": timing.VISA_PHONE},
    MASTERCARD_LIKE: {"plastic": timing.MASTERCARD_PLASTIC, "phone": timing.MASTERCARD_PHONE},
}


def _bank_ride(name: str, application: bytes, issuers: int) -> Ride:
    works = _PLASTIC_AND_PHONE[application]
    return Ride(name, lambda: _bank_cards(application, issuers), 1, works, 500, 60)


RIDES = (
    Ride(
        "transport card",
        lambda: [make_card(rider) for rider in range(1, _RIDERS + 2)],
        1,
        {"": timing.DESFIRE},
        250,
        40,
    ),
    _bank_ride("Visa-like, issuer known", VISA_LIKE, 1),
    _bank_ride("Visa-like, new issuer", VISA_LIKE, _ISSUERS),
    _bank_ride("Mastercard-like, issuer known", MASTERCARD_LIKE, 1),
    _bank_ride("Mastercard-like, new issuer", MASTERCARD_LIKE, _ISSUERS),
    Ride(
        "rotating QR",
        lambda: [make_ticket(rider).text for rider in range(1, _RIDERS + 2)],
        1,
        {"": None},
        300,
        None,
    ),
)
