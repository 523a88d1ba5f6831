"""What riders hold before the validator in this bench, and what the model knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from simulator import timing
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.emv_issuer import MASTERCARD_SCHEME, MASTERCARD_SMALL_EXPONENT, VISA_SCHEME
from simulator.wallet import bank_card_number
from tests.simulator.validator_bench import make_card, make_ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.emv_issuer import Scheme
    from simulator.timing import CardWork
    from tests.bench_tap.recording import Medium

# Fewer than make a batch: none is sent while riders are served.
_RIDERS = 10
_ISSUERS = 7
_ISSUER_STEP = 10_000_000
_SMALL_EXPONENT = 3


@dataclass(frozen=True)
class Ride:
    """One kind of tap.

    Attributes:
        name: of the medium.
        riders: makes the media of some riders.
        warm_up: how many riders are served first, so that what is kept between riders is there.
        works: how their cards work, by what they are made of; a code has none.
        target_ms: for 99 of 100 taps; None where a time is reported and not aimed at.
        firmware_target_ms: of it, for the firmware.
    """

    name: str
    riders: Callable[[], list[Medium]]
    warm_up: int
    works: dict[str, CardWork | None]
    target_ms: int | None
    firmware_target_ms: int | None


def _bank_cards(application: bytes, scheme: Scheme, issuers: int) -> list[Medium]:
    """Cards of so many issuers in turn: each its own card number."""
    return [
        EmvCard(
            b"\x08" + rider.to_bytes(3, "big"),
            bank_card_number(rider % issuers * _ISSUER_STEP + rider),
            "3012",
            application,
            scheme=scheme,
        )
        for rider in range(_RIDERS + 1)
    ]


_PLASTIC_AND_PHONE: dict[bytes, dict[str, CardWork | None]] = {
    VISA_LIKE: {"plastic": timing.VISA_PLASTIC, "phone": timing.VISA_PHONE},
    MASTERCARD_LIKE: {"plastic": timing.MASTERCARD_PLASTIC, "phone": timing.MASTERCARD_PHONE},
}


_SCHEMES = (
    ("Visa-like", VISA_LIKE, VISA_SCHEME),
    ("Mastercard-like", MASTERCARD_LIKE, MASTERCARD_SMALL_EXPONENT),
    ("Mastercard-like, 65537", MASTERCARD_LIKE, MASTERCARD_SCHEME),
)


def _bank_rides() -> list[Ride]:
    """Cards whose issuer's certificate is kept from before, and such whose issuer is another one each time."""
    rides = []
    for name, application, scheme in _SCHEMES:
        target_ms, firmware_target_ms = (500, 60) if scheme.issuer_exponent == _SMALL_EXPONENT else (None, None)
        for known, issuers in (("issuer known", 1), ("new issuer", _ISSUERS)):
            media = partial(_bank_cards, application, scheme, issuers)
            works = _PLASTIC_AND_PHONE[application]
            rides.append(Ride(f"{name}, {known}", media, 1, works, target_ms, firmware_target_ms))
    return rides


RIDES = (
    Ride(
        "transport card",
        lambda: [make_card(rider) for rider in range(1, _RIDERS + 2)],
        1,
        {"": timing.DESFIRE},
        250,
        40,
    ),
    *_bank_rides(),
    Ride(
        "rotating QR",
        lambda: [make_ticket(rider).text for rider in range(1, _RIDERS + 2)],
        1,
        {"": None},
        300,
        None,
    ),
)
