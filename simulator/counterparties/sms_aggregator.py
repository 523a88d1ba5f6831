"""An SMS aggregator: takes riders' messages and posts them to the clearing service's webhook, late, twice, or again and again.

It keeps sending a message under one reference until it is answered, as aggregators do: the webhook must charge once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.service import Service
    from simulator.world import World


@dataclass(frozen=True)
class Habits:
    """How badly it behaves.

    Attributes:
        delay_ms: shortest and longest way of a message to the webhook.
        send_twice: probability that it posts a message again although it was answered.
        lose_answer: probability that it loses the answer and therefore posts again.
    """

    delay_ms: tuple[int, int] = (2_000, 90_000)
    send_twice: float = 0.1
    lose_answer: float = 0.1


class SmsAggregator:
    """One aggregator.

    Attributes:
        sent: messages that riders sent.
        paid: fare in tiyn by reference, for messages that the service said are paid.
        posts: requests made, repetitions included.
    """

    def __init__(self, world: World, service: Service, habits: Habits) -> None:
        self._world = world
        self._service = service
        self._habits = habits
        self._chance = world.chance("sms aggregator")
        self.sent = 0
        self.paid: dict[str, int] = {}
        self.posts = 0

    def send(self, msisdn: str, text: str) -> None:
        """A rider sends `text` (a vehicle's code) from a phone."""
        self.sent += 1
        sent_at_s = self._world.now_ms // 1000
        message: dict[str, str | int] = {
            "reference": f"sms-{sent_at_s}-{self.sent:04d}",
            "msisdn": msisdn,
            "text": text,
            "sent_at_s": sent_at_s,
        }
        self._world.after(self._chance.randrange(*self._habits.delay_ms), lambda: self._post(message))

    def _post(self, message: dict[str, str | int]) -> None:
        self.posts += 1
        answer = self._service.post("/v1/sms", message)
        draw = self._chance.random()
        if draw < self._habits.lose_answer:
            self._world.after(30_000, lambda: self._post(message))
            return
        if answer["status"] == "paid":
            self.paid[answer["reference"]] = answer["fare_minor"]
        if draw < self._habits.lose_answer + self._habits.send_twice:
            self._world.after(45_000, lambda: self._post(message))
