"""An agent that sells top-ups at its points: it tells each at once, or only in the day's register, and owes what it took.

It forgets to tell, forgets to list, lists twice, and sells without loading the card; all on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.counterparties.party import Party, tenge
from simulator.counterparties.qr_provider import local_moment

if TYPE_CHECKING:
    from simulator.counterparties.party import Sender

_HEADER = "receipt;card_token;amount;currency;taken_at;point"
_FAULTS = ("left_out", "settled_twice", "amount_differs")
_POINT = "Қазпошта № 7"


@dataclass(frozen=True)
class Habits:
    """How badly it behaves; every figure is a probability.

    Attributes:
        forget: of a top-up, that it is not told at once; it is in the register all the same.
        tell_twice: that it is told a second time.
        not_loaded: of a top-up at a desk, that the card does not get it; who plays the cards asks `is_loaded`.
        left_out, settled_twice, amount_differs: of a top-up, that the register is wrong so.
    """

    forget: float = 0.0
    tell_twice: float = 0.0
    not_loaded: float = 0.0
    left_out: float = 0.0
    settled_twice: float = 0.0
    amount_differs: float = 0.0


@dataclass(frozen=True)
class Sale:
    """A top-up that was sold."""

    reference: str
    token: str
    amount_minor: int
    at_s: int
    on_bus: bool
    is_told: bool

    @property
    def day(self) -> str:
        return local_moment(self.at_s).date().isoformat()


class Agent(Party):
    """One agent.

    Attributes:
        sales: by reference.
        by_register: it tells nothing at once; its register is how its top-ups are known.
    """

    def __init__(
        self,
        sender: Sender,
        city: str,
        seed: int = 1,
        habits: Habits | None = None,
        commission_bp: int = 0,
        *,
        by_register: bool = False,
    ) -> None:
        super().__init__(seed)
        self._sender = sender
        self._city = city
        self._habits = habits or Habits()
        self._commission_bp = commission_bp
        self.by_register = by_register
        self.sales: dict[str, Sale] = {}

    def sell(self, token: bytes, amount_minor: int, *, on_bus: bool = False) -> Sale:
        """Take money for a card."""
        reference = f"AG{len(self.sales) + 1:08d}"
        is_told = not self.by_register and not self._shows("forget", reference)
        sale = Sale(reference, token.hex(), amount_minor, self._sender.now_s(), on_bus, is_told)
        self.sales[reference] = sale
        if is_told:
            self._tell(sale)
        elif not self.by_register:
            self.inject("reference_unknown", reference, sale.day, amount_minor)
        if not self.is_loaded(reference):
            self.inject("paid_not_loaded", reference, sale.day, amount_minor)
        return sale

    def _tell(self, sale: Sale) -> None:
        body = {
            "reference": sale.reference,
            "token": sale.token,
            "amount_minor": sale.amount_minor,
            "at_s": sale.at_s,
            "city": self._city,
            "on_bus": sale.on_bus,
        }
        for _ in range(1 + self._shows("tell_twice", sale.reference)):
            status, answer = self._sender.post("/v1/top-ups", body)
            assert status == 200, answer

    def is_loaded(self, reference: str) -> bool:
        """Whether the card has got what was sold at a desk."""
        sale = self.sales[reference]
        return sale.on_bus or not sale.is_told or not self._shows("not_loaded", reference)

    def _shows(self, habit: str, about: str) -> bool:
        return self.happens(habit, getattr(self._habits, habit), about)

    def net_minor(self, day: str) -> int:
        """What it pays out for a day: what its register says, less what it keeps."""
        gross_minor = sum(amount_minor for _, amount_minor in self._lines(day))
        return gross_minor - gross_minor * self._commission_bp // 10_000

    def statement(self, day: str) -> bytes:
        """The register of a day: CSV, UTF-8, the last line the total."""
        lines = self._lines(day)
        rows = [
            f"{sale.reference};{sale.token};{tenge(amount_minor)};KZT;{local_moment(sale.at_s):%Y-%m-%d %H:%M:%S};{_POINT}"
            for sale, amount_minor in lines
        ]
        total = f"TOTAL;{len(rows)};{tenge(sum(amount_minor for _, amount_minor in lines))};;;"
        return "".join(f"{row}\n" for row in [_HEADER, *rows, total]).encode()

    def _lines(self, day: str) -> list[tuple[Sale, int]]:
        lines = []
        for sale in sorted(self.sales.values(), key=lambda each: each.reference):
            if sale.day == day:
                lines += self._listed(sale)
        return lines

    def _listed(self, sale: Sale) -> list[tuple[Sale, int]]:
        """The lines of a sale, with at most one fault in them."""
        is_plain = sale.is_told and self.is_loaded(sale.reference)
        fault = next((each for each in _FAULTS if is_plain and self._shows(each, sale.reference)), "")
        if fault:
            self.inject(fault, sale.reference, sale.day, sale.amount_minor)
        line = (sale, sale.amount_minor)
        return {
            "left_out": [],
            "settled_twice": [line, line],
            "amount_differs": [(sale, sale.amount_minor + 1_000)],
        }.get(fault, [line])
