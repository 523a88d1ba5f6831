"""An SMS aggregator: takes riders' messages and posts them to the clearing service's webhook, late, twice, or again and again.

It keeps sending a message under one reference until it is answered, as aggregators do: the webhook must charge once.
`BillingAggregator` is one that also tells what it has charged to telephone accounts, in Windows-1251, and wrongly on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.counterparties.party import Party, tenge
from simulator.counterparties.qr_provider import local_moment

if TYPE_CHECKING:
    from simulator.counterparties.party import Sender
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


_HEADER = "Номер сообщения;Статус;Сумма;Дата и время;Текст"
_FAULTS = ("left_out", "settled_twice", "two_states", "amount_differs")


@dataclass(frozen=True)
class BillingHabits:
    """How badly it behaves; every figure is a probability.

    Attributes:
        lose_message: of a message, that the clearing service never hears of it, though it is charged.
        send_twice, send_late: that it is posted a second time; that it is posted only when `deliver` is called.
        new_number: that it is posted a second time under another number, as if it were another message.
        charge_rejected: of a message that paid for nothing, that it is charged.
        left_out, settled_twice, two_states, amount_differs: of a message, that the statement is wrong so.
    """

    lose_message: float = 0.0
    send_twice: float = 0.0
    send_late: float = 0.0
    new_number: float = 0.0
    charge_rejected: float = 0.0
    left_out: float = 0.0
    settled_twice: float = 0.0
    two_states: float = 0.0
    amount_differs: float = 0.0


@dataclass
class Message:
    """A message as the aggregator has it; `charged_minor` is what the telephone account was charged."""

    reference: str
    body: dict[str, Any]
    charged_minor: int = 0
    is_plain: bool = True

    @property
    def day(self) -> str:
        return local_moment(self.body["sent_at_s"]).date().isoformat()


class BillingAggregator(Party):
    """One aggregator that charges telephone accounts.

    Attributes:
        messages: by number.
    """

    content_type = "text/csv; charset=windows-1251"

    def __init__(
        self,
        sender: Sender,
        city: str,
        seed: int = 1,
        habits: BillingHabits | None = None,
        commission_bp: int = 0,
        fare_minor: int = 10_000,
    ) -> None:
        super().__init__(seed)
        self._sender = sender
        self._city = city
        self._habits = habits or BillingHabits()
        self._commission_bp = commission_bp
        self._fare_minor = fare_minor
        self._waiting: list[Message] = []
        self.messages: dict[str, Message] = {}

    def send(self, msisdn: str, text: str) -> dict[str, Any] | None:
        """A rider sends a vehicle's code; returns what the clearing service said, if it was told."""
        reference = f"SM{len(self.messages) + 1:08d}"
        body = {
            "reference": reference,
            "msisdn": msisdn,
            "text": text,
            "sent_at_s": self._sender.now_s(),
            "city": self._city,
        }
        message = self.messages[reference] = Message(reference, body)
        if self._shows("lose_message", reference):
            message.charged_minor, message.is_plain = self._fare_minor, False
            self.inject("reference_unknown", reference, message.day, self._fare_minor)
            return None
        if self._shows("send_late", reference):
            self._waiting.append(message)
            return None
        return self._post(message)

    def deliver(self) -> int:
        """Post what has waited, the newest first; returns how much that was."""
        waiting, self._waiting = self._waiting[::-1], []
        for message in waiting:
            self._post(message)
        return len(waiting)

    def _post(self, message: Message) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for _ in range(1 + self._shows("send_twice", message.reference)):
            status, answer = self._sender.post("/v1/sms", message.body)
            assert status == 200, answer
        message.charged_minor = int(answer["fare_minor"])
        if answer["status"] == "paid" and self._shows("new_number", message.reference):
            again = f"{message.reference}B"
            status, second = self._sender.post("/v1/sms", message.body | {"reference": again})
            assert status == 200, second
            self.messages[again] = Message(again, message.body | {"reference": again}, int(second["fare_minor"]))
        elif answer["status"] != "paid" and self._shows("charge_rejected", message.reference):
            message.charged_minor, message.is_plain = self._fare_minor, False
            self.inject("settled_though_refused", message.reference, message.day, self._fare_minor)
        return dict(answer)

    def _shows(self, habit: str, about: str) -> bool:
        return self.happens(habit, getattr(self._habits, habit), about)

    def net_minor(self, day: str) -> int:
        """What it pays out for a day: what its statement says, less what it keeps."""
        gross_minor = sum(amount_minor for _, state, amount_minor in self._lines(day) if state == "Списано")
        return gross_minor - gross_minor * self._commission_bp // 10_000

    def statement(self, day: str) -> bytes:
        """What was charged for messages of a day: CSV, Windows-1251, amounts with a comma, the last line the total."""
        lines = self._lines(day)
        rows = [
            f"{message.reference};{state};{tenge(amount_minor, ',')};"
            f"{local_moment(message.body['sent_at_s']):%d.%m.%Y %H:%M:%S};{_plain(message.body['text'])}"
            for message, state, amount_minor in lines
        ]
        total_minor = sum(amount_minor for _, state, amount_minor in lines if state == "Списано")
        total = f"ИТОГО;{len(rows)};{tenge(total_minor, ',')};;"
        return "".join(f"{row}\r\n" for row in [_HEADER, *rows, total]).encode("cp1251", errors="replace")

    def _lines(self, day: str) -> list[tuple[Message, str, int]]:
        lines = []
        for message in sorted(self.messages.values(), key=lambda each: each.reference):
            if message.day == day and message.charged_minor:
                lines += self._states(message)
        return lines

    def _states(self, message: Message) -> list[tuple[Message, str, int]]:
        """The lines of a message, with at most one fault in them."""
        fault = next((each for each in _FAULTS if message.is_plain and self._shows(each, message.reference)), "")
        if fault:
            self.inject(fault, message.reference, message.day, message.charged_minor)
        line = (message, "Списано", message.charged_minor)
        return {
            "left_out": [],
            "settled_twice": [line, line],
            "two_states": [line, (message, "Отклонено", message.charged_minor)],
            "amount_differs": [(message, "Списано", message.charged_minor + 1_000)],
        }.get(fault, [line])


def _plain(text: str) -> str:
    """A rider's text within one cell."""
    return "".join(sign if sign.isprintable() and sign not in ';"' else " " for sign in text)
