"""An app by which riders pay money in for their cards: it waits until the card is held before a validator, on a bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.service import Service
    from simulator.wallet import Wallet

AMOUNT_MINOR = 150_000
_ONE_IN = 10


class TopUpApp:
    """The app, as its users and the clearing service see it.

    Attributes:
        paid: what was paid in, tiyn, by the order's reference.
    """

    def __init__(self, service: Service, city: str, day: str) -> None:
        self._service = service
        self._city = city
        self._day = day
        self._orders: dict[str, dict[str, Any]] = {}

    @property
    def paid(self) -> dict[str, int]:
        return {reference: order["amount_minor"] for reference, order in self._orders.items()}

    def pay_in(self, wallets: Sequence[Wallet], at_s: int) -> None:
        """Let one in ten of those pay in whose cards have no trouble; they know that they must hold on."""
        for wallet in wallets:
            if wallet.transit_card is None or wallet.token is None or wallet.rider.trouble:
                continue
            if wallet.rider.number % _ONE_IN == 0:
                wallet.holds_on = True
                reference = f"app-{self._day}-{wallet.rider.number}"
                order = {
                    "reference": reference,
                    "token": wallet.token.hex(),
                    "amount_minor": AMOUNT_MINOR,
                    "at_s": at_s,
                    "city": self._city,
                    "on_bus": True,
                }
                self._orders[reference] = order
                self._service.post("/v1/top-ups", order)

    def applied_minor(self) -> int:
        """Return how much money the service says is on cards: it answers the same order again with how far it is."""
        answers = [self._service.post("/v1/top-ups", order) for order in self._orders.values()]
        return sum(answer["amount_minor"] for answer in answers if answer["status"] == "applied")
