"""What an acquirer knows and does: its cards, its operations, and how badly it behaves. No network here.

Chance depends on the seed and on what it is about, never on the order of requests: the same payments meet the same fate in any
run. What is done under a reference is done once, whatever was lost on the way; so the book is the truth about the money.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from protocol.errors import CardError
from simulator.counterparties.chance import comes_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UTC_OFFSET = timedelta(hours=5)
_TRACK_2 = 0x57


@dataclass(frozen=True)
class Habits:
    """How badly it behaves; every figure is a probability unless it says otherwise.

    Attributes:
        decline: of a card, that there is no money on it; it is declined until its owner has paid, or for `poor_for` attempts.
        poor_for: attempts after which there is money on it again; 0 for never.
        refuse_verification: of a card, that it is not verified.
        refuse_capture, refuse_refund: of an operation, once.
        lose_request, lose_answer: of a message, that it is lost on its way in, or that its answer is.
        answer_late: of an operation, that it says `pending` first.
        notify_twice: that it tells the end of an operation a second time, under another reference.
        delay: of an item, that it is paid out a day later.
        left_out, settled_twice, two_states, amount_altered, reference_reused: of an item, that the statement is wrong so.
        unknown_item: of a day, that its statement has an item nobody asked for.
    """

    decline: float = 0.0
    poor_for: int = 0
    refuse_verification: float = 0.0
    refuse_capture: float = 0.0
    refuse_refund: float = 0.0
    lose_request: float = 0.0
    lose_answer: float = 0.0
    answer_late: float = 0.0
    notify_twice: float = 0.0
    delay: float = 0.0
    left_out: float = 0.0
    settled_twice: float = 0.0
    two_states: float = 0.0
    amount_altered: float = 0.0
    reference_reused: float = 0.0
    unknown_item: float = 0.0


@dataclass
class Operation:
    """Something done, or refused, under a reference.

    Attributes:
        body: as it was asked for; the same reference with another body is refused.
        status: `done` or `refused`.
        day: ISO date on which it was done.
        hidden: so many more questions are answered by `pending`.
    """

    reference: str
    kind: str
    amount_minor: int
    original: str
    card: str
    body: Mapping[str, Any]
    status: str
    code: str
    acquirer_reference: str
    day: str
    hidden: int = 0


@dataclass
class _Card:
    """A card as its bank sees it."""

    has_money: bool
    attempts: int = 0
    captured: int = 0


@dataclass
class Terms:
    """What the acquirer keeps and bears."""

    commission_bp: int = 150
    issuer_bears_minor: int = 0
    currency: str = "KZT"


class ReusedError(Exception):
    """A reference came with another body than before."""


@dataclass
class AcquirerBook:
    """The book of one acquirer.

    Attributes:
        open_sealed: opens what a validator sealed.
        operations: by reference.
        sent: how often each reference was sent.
    """

    now_ms: Callable[[], int]
    open_sealed: Callable[[bytes], dict[int, bytes]]
    seed: int = 1
    habits: Habits = field(default_factory=Habits)
    terms: Terms = field(default_factory=Terms)
    operations: dict[str, Operation] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    _cards: dict[str, _Card] = field(default_factory=dict)
    _untold: list[str] = field(default_factory=list)

    def happens(self, habit: str, about: str) -> bool:
        """Whether a habit shows, about something."""
        return comes_up(f"{self.seed}/{habit}/{about}", getattr(self.habits, habit))

    def today(self) -> str:
        return (datetime.fromtimestamp(self.now_ms() / 1000, UTC) + _UTC_OFFSET).date().isoformat()

    def do(self, body: Mapping[str, Any], sealed: bytes) -> Operation:
        """Do what is asked, once.

        Raises:
            ReusedError: the reference was used for something else.
        """
        reference = body["reference"]
        known = self.operations.get(reference)
        if known is not None:
            if known.body != body:
                raise ReusedError
            return known
        card, code = self._decide(body, sealed)
        operation = Operation(
            reference,
            body["kind"],
            body["amount_minor"],
            body["original"],
            card,
            dict(body),
            "refused" if code else "done",
            code,
            f"{len(self.operations) + 1:010d}",
            self.today(),
            2 * self.happens("answer_late", reference),
        )
        self.operations[reference] = operation
        self._untold.append(reference)
        if body["kind"] == "capture" and not code:
            self._cards[card].captured += 1
        return operation

    def _decide(self, body: Mapping[str, Any], sealed: bytes) -> tuple[str, str]:
        """The card, and why it is refused; nothing when it is done."""
        kind, reference = body["kind"], body["reference"]
        if body["currency"] != self.terms.currency:
            return "", "currency"
        if kind in {"verify", "authorise"}:
            try:
                number = self.open_sealed(sealed)[_TRACK_2]
            except (CardError, KeyError, ValueError, IndexError):
                return "", "not-readable"
            card = hashlib.sha256(b"card\0" + number).hexdigest()[:16]
            self._cards.setdefault(card, _Card(not self.happens("decline", card)))
            return card, self._decline(kind, card)
        original = self.operations.get(body["original"])
        if original is None:
            return "", "no-original"
        if kind == "capture":
            return original.card, self._refuse_capture(body, original)
        left = original.amount_minor - sum(
            each.amount_minor
            for each in self.operations.values()
            if each.original == original.reference and each.status == "done" and each.kind in {"refund", "chargeback"}
        )
        if original.status != "done" or body["amount_minor"] > left:
            return original.card, "too-much"
        return original.card, "try-later" if self.happens("refuse_refund", reference) else ""

    def _decline(self, kind: str, card: str) -> str:
        if kind == "verify":
            is_refused = self.happens("refuse_verification", card) and not self._cards[card].attempts
            self._cards[card].attempts += is_refused
            return "not-verified" if is_refused else ""
        account = self._cards[card]
        if account.has_money:
            return ""
        account.attempts += 1
        if self.habits.poor_for and account.attempts > self.habits.poor_for:
            account.has_money = True
            return ""
        return "no-money"

    def _refuse_capture(self, body: Mapping[str, Any], original: Operation) -> str:
        if body["liability"] == "issuer":
            is_first = not self._cards[original.card].captured if original.card else False
            return "" if is_first and body["amount_minor"] <= self.terms.issuer_bears_minor else "not-liable"
        if original.status != "done" or body["amount_minor"] > original.amount_minor:
            return "not-authorised"
        return "expired" if self.happens("refuse_capture", body["reference"]) else ""

    def give_money(self, reference: str) -> None:
        """Put money on the card that an operation was about."""
        self._cards[self.operations[reference].card].has_money = True

    def take_money(self, reference: str) -> None:
        """The opposite."""
        self._cards[self.operations[reference].card].has_money = False

    def pay(self, charge: str, amount_minor: int) -> dict[str, Any]:
        """A cardholder pays a debt on the acquirer's page; returns what it tells the operator."""
        return self._tell("payment", f"P-{charge}", charge, amount_minor) | {"charge": charge}

    def charge_back(self, operation: str, amount_minor: int) -> dict[str, Any]:
        """A cardholder disputes a capture; returns what the acquirer tells the operator."""
        told = self._tell("chargeback", f"D-{operation}", operation, amount_minor)
        return told | {"operation": operation, "status": "open"}

    def _tell(self, kind: str, reference: str, original: str, amount_minor: int) -> dict[str, Any]:
        own = f"{len(self.operations) + 1:010d}"
        self.operations[reference] = Operation(
            reference, kind, amount_minor, original, "", {}, "done", "", own, self.today()
        )
        return {"reference": reference, "amount_minor": amount_minor, "currency": self.terms.currency}

    def notices(self) -> list[dict[str, Any]]:
        """What it tells of its own accord since it was last asked, some of it twice, and the newest first."""
        told = [
            self._notice(reference, copy)
            for reference in reversed(self._untold)
            for copy in range(1 + self.happens("notify_twice", reference))
        ]
        self._untold.clear()
        return told

    def _notice(self, reference: str, copy: int) -> dict[str, Any]:
        operation = self.operations[reference]
        return {
            "reference": f"N{copy}-{reference}",
            "operation": reference,
            "status": operation.status,
            "amount_minor": operation.amount_minor,
            "currency": self.terms.currency,
            "acquirer_reference": operation.acquirer_reference,
            "code": operation.code,
        }

    def truth(self) -> dict[str, dict[str, Any]]:
        """Everything that was done or refused, by reference, for whoever compares."""
        return {reference: asdict(operation) for reference, operation in sorted(self.operations.items())}
