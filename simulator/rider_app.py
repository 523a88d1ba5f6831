"""A rider's app that pays for the code on a validator's screen: its camera reads the code, and the service gives the receipt.

The phone has a network of its own; the bus needs none. Taking the money is not simulated: the app says that it has been taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.camera import photograph, read_code
from simulator.phone import render

if TYPE_CHECKING:
    import random

    from simulator.service import Service

_TRIES = 5


class RiderApp:
    """One rider's app.

    Attributes:
        paid_minor: what the rider was charged in all.
    """

    def __init__(self, service: Service, city: str, rider: str, chance: random.Random) -> None:
        self._service = service
        self._city = city
        self._rider = rider
        self._chance = chance
        self._payments = 0
        self.paid_minor = 0

    def pay(self, screen: str) -> str | None:
        """Pay for what a screen shows and return the receipt to show; None when the camera cannot read it.

        Raises:
            ServiceError: the service gives no receipt, and nothing is charged.
        """
        code = None
        for _ in range(_TRIES):
            code = code or read_code(photograph(render(screen), self._chance))
        if code is None:
            return None
        self._payments += 1
        reference = f"{self._rider}-{self._payments}"
        given = self._service.post("/v1/screen-receipts", {"reference": reference, "city": self._city, "code": code})
        self.paid_minor += given["fare_minor"]
        return str(given["receipt"])
