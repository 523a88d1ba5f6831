"""A QR provider: riders scan a code with its app and pay; it notifies the clearing service, signed, and pays out later.

It looks at the payment page first, as its app shows the rider which vehicle the code is of. It loses notifications, sends them
twice and late, keeps money of payments that were refused, gives money back without saying so, and its statements are wrong on
purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.counterparties.party import Party, tenge

if TYPE_CHECKING:
    from simulator.counterparties.party import Sender

_HEADER = "payment_id;terminal_reference;status;amount;fee;currency;paid_at"
_UTC_OFFSET = timedelta(hours=5)
_ALL_BP = 10_000
# Of the faults in a statement one befalls a payment at most, in this order.
_FAULTS = ("left_out", "settled_twice", "two_states", "amount_differs")


@dataclass(frozen=True)
class Habits:
    """How badly it behaves; every figure is a probability.

    Attributes:
        lose_notification: of a payment, that the clearing service never hears of it.
        notify_twice, notify_late: that it is told a second time; that it is told only when `deliver` is called.
        keep_refused: of a payment that was refused, that the rider does not get the money back.
        hide_refund: of a refund, that it is not told.
        left_out, settled_twice, two_states, amount_differs: of a payment, that the statement is wrong so.
        unknown_item: of a day, that its statement has a payment nobody made.
    """

    lose_notification: float = 0.0
    notify_twice: float = 0.0
    notify_late: float = 0.0
    keep_refused: float = 0.0
    hide_refund: float = 0.0
    left_out: float = 0.0
    settled_twice: float = 0.0
    two_states: float = 0.0
    amount_differs: float = 0.0
    unknown_item: float = 0.0


@dataclass
class Payment:
    """A payment as the provider has it.

    Attributes:
        is_lost: the clearing service is never told.
        answer: what it said; absent until then.
        is_given_back: the rider has the money again.
    """

    reference: str
    body: dict[str, Any]
    paid_at_s: int
    is_lost: bool
    answer: dict[str, Any] | None = None
    is_given_back: bool = False

    @property
    def day(self) -> str:
        return local_moment(self.paid_at_s).date().isoformat()

    @property
    def amount_minor(self) -> int:
        return int(self.body["amount_minor"])


def local_moment(at_s: int) -> datetime:
    """A moment by the clocks of the city."""
    return datetime.fromtimestamp(at_s, UTC) + _UTC_OFFSET


class QrProvider(Party):
    """One provider.

    Attributes:
        payments: by reference, as they are.
    """

    def __init__(
        self, sender: Sender, city: str, seed: int = 1, habits: Habits | None = None, commission_bp: int = 0
    ) -> None:
        super().__init__(seed)
        self._sender = sender
        self._city = city
        self._habits = habits or Habits()
        self._commission_bp = commission_bp
        self._waiting: list[Payment] = []
        self.payments: dict[str, Payment] = {}

    def look(self, code: str) -> dict[str, Any]:
        """The payment page that a code leads to."""
        _, page = self._sender.get("/v1/pay", city=self._city, code=code)
        return dict(page)

    def pay(self, payer: str, code: str, plate: str, amount_minor: int) -> dict[str, Any] | None:
        """Take a fare for a code; returns what the clearing service said, if it was told and has answered."""
        reference = f"QR{len(self.payments) + 1:08d}"
        body = {
            "reference": reference,
            "city": self._city,
            "code": code,
            "plate": plate,
            "payer": payer,
            "amount_minor": amount_minor,
            "currency": "KZT",
            "paid_at_s": self._sender.now_s(),
        }
        is_lost = self._shows("lose_notification", reference)
        payment = self.payments[reference] = Payment(reference, body, self._sender.now_s(), is_lost)
        if is_lost:
            self.inject("reference_unknown", reference, payment.day, amount_minor)
            return None
        if self._shows("notify_late", reference):
            self._waiting.append(payment)
            return None
        return self._notify(payment)

    def deliver(self) -> int:
        """Tell what has waited, the newest first; returns how much that was."""
        waiting, self._waiting = self._waiting[::-1], []
        for payment in waiting:
            self._notify(payment)
        return len(waiting)

    def _notify(self, payment: Payment) -> dict[str, Any]:
        for _ in range(1 + self._shows("notify_twice", payment.reference)):
            status, answer = self._sender.post("/v1/qr-payments", payment.body)
            assert status == 200, answer
            payment.answer = dict(answer)
        assert payment.answer is not None
        if payment.answer["status"] == "refused":
            if self._shows("keep_refused", payment.reference):
                self.inject("settled_though_refused", payment.reference, payment.day, payment.amount_minor)
            else:
                payment.is_given_back = True
        return payment.answer

    def give_back(self, reference: str) -> None:
        """Give a rider the money back, and say so."""
        payment = self.payments[reference]
        payment.is_given_back = True
        if self._shows("hide_refund", reference):
            self.inject("refund_not_told", reference, payment.day, payment.amount_minor)
            return
        body = {"reference": f"RF{reference}", "payment": reference, "at_s": self._sender.now_s()}
        status, answer = self._sender.post("/v1/qr-refunds", body)
        assert status == 200, answer

    def _shows(self, habit: str, about: str) -> bool:
        return self.happens(habit, getattr(self._habits, habit), about)

    def net_minor(self, day: str) -> int:
        """What it pays out for a day: what its statement says, less what it keeps."""
        return sum(amount - fee for _, status, amount, fee, _ in self._lines(day) if status == "SUCCESS") - sum(
            amount - fee for _, status, amount, fee, _ in self._lines(day) if status == "REFUNDED"
        )

    def statement(self, day: str) -> bytes:
        """The payments of a day: CSV, UTF-8, the last line the total."""
        lines = self._lines(day)
        rows = [
            f"{reference};T{reference[2:]};{status};{tenge(amount_minor)};{tenge(fee_minor)};KZT;{moment}"
            for reference, status, amount_minor, fee_minor, moment in lines
        ]
        settled = [(amount_minor, fee_minor) for _, status, amount_minor, fee_minor, _ in lines if status == "SUCCESS"]
        sums = (tenge(sum(amount for amount, _ in settled)), tenge(sum(fee for _, fee in settled)))
        total = f"TOTAL;{len(rows)};;{sums[0]};{sums[1]};KZT;"
        return "".join(f"{row}\n" for row in [_HEADER, *rows, total]).encode()

    def _lines(self, day: str) -> list[tuple[str, str, int, int, str]]:
        """Reference, status, amount, fee and moment of every line of a day."""
        lines = []
        for payment in sorted(self.payments.values(), key=lambda each: each.reference):
            if payment.day == day:
                lines += [self._line(payment.reference, *line, payment.paid_at_s) for line in self._states(payment)]
        if self._shows("unknown_item", day):
            reference = f"QX{day.replace('-', '')}"
            self.inject("reference_unknown", reference, day, 10_000)
            noon_s = int(datetime.fromisoformat(f"{day}T12:00:00+05:00").timestamp())
            lines.append(self._line(reference, "SUCCESS", 10_000, noon_s))
        return lines

    def _line(self, reference: str, status: str, amount_minor: int, at_s: int) -> tuple[str, str, int, int, str]:
        fee_minor = amount_minor * self._commission_bp // _ALL_BP
        return reference, status, amount_minor, fee_minor, f"{local_moment(at_s):%Y-%m-%dT%H:%M:%S}+05:00"

    def _states(self, payment: Payment) -> list[tuple[str, int]]:
        """Status and amount of the lines of a payment, with at most one fault in them."""
        paid = ("SUCCESS", payment.amount_minor)
        if payment.is_given_back:
            return [paid, ("REFUNDED", payment.amount_minor)]
        is_plain = not payment.is_lost and payment.answer is not None and payment.answer["status"] == "paid"
        fault = next((each for each in _FAULTS if is_plain and self._shows(each, payment.reference)), "")
        if fault:
            self.inject(fault, payment.reference, payment.day, payment.amount_minor)
        return {
            "left_out": [],
            "settled_twice": [paid, paid],
            "two_states": [paid, ("FAILED", payment.amount_minor)],
            "amount_differs": [("SUCCESS", payment.amount_minor + 1_000)],
        }.get(fault, [paid])
