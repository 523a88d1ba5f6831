"""Which line of a counterparty's statement is which item of ours. Pure and deterministic; nothing is learnt from earlier answers.

Rules, in this order. Lines are taken by day, then as they stand in the files; items by day, then by reference.

1. An item of nothing for which nothing was settled is of *zero value*.
2. Of settled lines with one reference the first counts; each further one is a *duplicate reference*. So is each declined line
   beside a settled one: the same settlement in two states. Refunds are counted apart from payments. A counterparty's own number
   that stands beside two references is a duplicate at the second.
3. A line and an item with one reference belong together. Where their amounts differ, or one says paid and the other not, the line
   is *settled and not matched*, or the item *declined*; else they are *settled and matched*.
4. A line that has no reference is matched with the item of the same amount within so many days, if there is one only.
   A line that has a reference is never matched by its amount: most fares are alike.
5. A settled line that is left is *settled and not matched*; one without reference, or in a state that the adapter does not know,
   is *unknown*.
6. An item that is left is *unsettled*. It is a break once the counterparty has told of its day and a further day has passed, or
   when the money is overdue.

These are the seven categories by which cal-itp sorts a transit agency's card payments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from clearing.statements.statement import DECLINED, REFUNDED, SETTLED
from clearing.statements.statement import UNKNOWN as UNKNOWN_STATE

ZERO_VALUE = "zero_value"
MATCHED = "matched"
NOT_MATCHED = "not_matched"
UNSETTLED = "unsettled"
DECLINED_ITEM = "declined"
DUPLICATE = "duplicate_reference"
UNKNOWN = "unknown"
CATEGORIES = (ZERO_VALUE, MATCHED, NOT_MATCHED, UNSETTLED, DECLINED_ITEM, DUPLICATE, UNKNOWN)

PAID = "paid"
REFUSED = "refused"
GIVEN_BACK = "given_back"
ASKED = "asked"


@dataclass(frozen=True)
class Item:
    """What our books say.

    Attributes:
        state: `paid`; `refused`, where no money may have moved; `given_back`, where it has moved both ways; `asked`, of which
            nobody knows yet.
        amount_minor: signed as in the statement.
        due_day: the money should have come by then.
        kind: where one reference may name two things, which of them; a line of the same thing has the same.
    """

    reference: str
    amount_minor: int
    day: str
    state: str
    due_day: str
    kind: str = ""


@dataclass(frozen=True)
class StoredLine:
    """A line of a statement that was imported.

    Attributes:
        place: statement and line; tells two lines apart.
        own_reference: the counterparty's own number; empty where it has none, or where one may stand for several lines.
    """

    place: tuple[int, int]
    reference: str
    state: str
    amount_minor: int
    day: str
    kind: str = ""
    own_reference: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of an item, a line, or both.

    Attributes:
        cause: why it is a break; empty where it is none.
        at_risk_minor: by how much the two sides differ.
        nth: for a further line with one reference, its number among them; else 0.
    """

    category: str
    cause: str
    item: Item | None
    line: StoredLine | None
    at_risk_minor: int = 0
    nth: int = 0

    @property
    def is_break(self) -> bool:
        return bool(self.cause)

    @property
    def reference(self) -> str:
        if self.item is not None:
            return self.item.reference
        return "" if self.line is None else self.line.reference

    @property
    def day(self) -> str:
        if self.item is not None:
            return self.item.day
        return "" if self.line is None else self.line.day


@dataclass(frozen=True)
class Policy:
    """What matching may assume.

    Attributes:
        today: the day as of which it is asked.
        covered: days of which the counterparty has told.
        window_days: how far apart item and line may be that are matched by amount.
    """

    today: str
    covered: frozenset[str]
    window_days: int = 2


def match(items: Iterable[Item], lines: Iterable[StoredLine], policy: Policy) -> list[Outcome]:
    """Sort all items and lines into the seven categories, each item and each line once."""
    return _Matching(items, lines, policy).outcomes()


class _Matching:
    """One matching of one counterparty's lines with our items."""

    def __init__(self, items: Iterable[Item], lines: Iterable[StoredLine], policy: Policy) -> None:
        self._policy = policy
        self._items = sorted(items, key=lambda item: (item.day, item.reference))
        self._lines = sorted(lines, key=lambda line: (line.day, line.place))
        self._found: list[Outcome] = []
        self._reused = _reused(self._lines)

    def outcomes(self) -> list[Outcome]:
        named = self._by_reference()
        left: list[Item] = []
        for item in self._items:
            lines = named.pop((item.kind, item.reference), ())
            if item.amount_minor == 0 and not any(line.state == SETTLED and line.amount_minor for line in lines):
                self._found.append(Outcome(ZERO_VALUE, "", item, lines[0] if lines else None))
            elif lines:
                self._meet(item, lines)
            else:
                left.append(item)
        self._found += [self._item_alone(item) for item in self._without_reference(left)]
        self._lines_alone(named)
        return sorted(self._found, key=lambda each: (each.day, each.reference, each.category, each.nth))

    def _by_reference(self) -> dict[tuple[str, str], Sequence[StoredLine]]:
        """The lines that count by reference: a payment, and perhaps its refund. Further ones are duplicates."""
        named: dict[tuple[str, str], list[StoredLine]] = {}
        for line in self._lines:
            if line.reference:
                named.setdefault((line.kind, line.reference), []).append(line)
        counted: dict[tuple[str, str], Sequence[StoredLine]] = {}
        for key, lines in named.items():
            counting = [line for line in lines if line.state == REFUNDED][:1]
            payments = sorted(
                (line for line in lines if line.state != REFUNDED), key=lambda line: line.state != SETTLED
            )
            counting += payments[:1]
            further = [line for line in lines if line not in counting]
            for nth, line in enumerate(further, 1):
                self._found.append(_duplicate(counting, line, nth))
            counted[key] = counting
        return counted

    def _meet(self, item: Item, lines: Sequence[StoredLine]) -> None:
        """An item and the one or two lines with its reference."""
        refund = next((line for line in lines if line.state == REFUNDED), None)
        payment = next((line for line in lines if line.state != REFUNDED), None)
        if refund is not None and (payment is None or payment.state == SETTLED):
            self._found.append(_given_back(item, payment, refund))
        elif payment is not None and payment.place in self._reused:
            self._found.append(Outcome(DUPLICATE, "reference_reused", item, payment, payment.amount_minor))
        elif payment is not None:
            self._found.append(_paired(item, payment))

    def _without_reference(self, left: list[Item]) -> list[Item]:
        """Match lines that have no reference by amount and day; returns the items that are left after that."""
        waiting: dict[tuple[int, str], list[Item]] = {}
        for item in left:
            if item.state == PAID:
                waiting.setdefault((item.amount_minor, item.day), []).append(item)
        matched: set[tuple[str, str]] = set()
        for line in self._lines:
            if line.reference:
                continue
            near = [waiting.get((line.amount_minor, day), []) for day in self._days_near(line.day)]
            candidates = sum(map(len, near)) if line.state == SETTLED else 0
            if candidates == 1:
                item = next(items for items in near if items).pop()
                matched.add((item.kind, item.reference))
                self._found.append(Outcome(MATCHED, "", item, line))
            else:
                cause = "ambiguous" if candidates else "no_reference"
                self._found.append(Outcome(UNKNOWN, cause, None, line, line.amount_minor))
        return [item for item in left if (item.kind, item.reference) not in matched]

    def _days_near(self, day: str) -> list[str]:
        first = date.fromisoformat(day)
        window = range(-self._policy.window_days, self._policy.window_days + 1)
        return [(first + timedelta(days=days)).isoformat() for days in window]

    def _lines_alone(self, named: Mapping[tuple[str, str], Sequence[StoredLine]]) -> None:
        for lines in named.values():
            sums = {SETTLED: 1, REFUNDED: -1}
            moved_minor = sum(sums.get(line.state, 0) * line.amount_minor for line in lines)
            line = lines[-1]
            if line.state == UNKNOWN_STATE:
                self._found.append(Outcome(UNKNOWN, "state_unknown", None, line, line.amount_minor))
            elif line.state == DECLINED or moved_minor == 0:
                self._found.append(Outcome(DECLINED_ITEM, "", None, line))
            else:
                self._found.append(Outcome(NOT_MATCHED, "reference_unknown", None, line, moved_minor))

    def _item_alone(self, item: Item) -> Outcome:
        if item.state in {REFUSED, GIVEN_BACK}:
            return Outcome(DECLINED_ITEM, "", item, None)
        is_told = item.day in self._policy.covered and item.day < self._policy.today
        if item.state == PAID and (is_told or item.due_day < self._policy.today):
            return Outcome(UNSETTLED, "left_out" if is_told else "overdue", item, None, item.amount_minor)
        return Outcome(UNSETTLED, "", item, None)


def _reused(lines: Iterable[StoredLine]) -> frozenset[tuple[int, int]]:
    """Places of settled lines whose own number had stood beside another reference before."""
    first: dict[str, tuple[str, str]] = {}
    return frozenset(
        line.place
        for line in lines
        if line.own_reference
        and line.state == SETTLED
        and first.setdefault(line.own_reference, (line.kind, line.reference)) != (line.kind, line.reference)
    )


def _duplicate(counting: Sequence[StoredLine], line: StoredLine, nth: int) -> Outcome:
    """A further line with a reference that another line has."""
    first = next((each for each in counting if (each.state == REFUNDED) == (line.state == REFUNDED)), line)
    if line.state != first.state:
        cause = "two_states"
    elif line.state == DECLINED:
        return Outcome(DECLINED_ITEM, "", None, line, nth=nth)
    else:
        cause = "settled_twice" if line.amount_minor == first.amount_minor else "reference_reused"
    at_risk_minor = 0 if line.state == DECLINED else line.amount_minor
    return Outcome(DUPLICATE, cause, None, line, at_risk_minor, nth)


def _given_back(item: Item, payment: StoredLine | None, refund: StoredLine) -> Outcome:
    """An item of which the counterparty says that the money went back."""
    if payment is not None and payment.amount_minor != refund.amount_minor:
        difference_minor = payment.amount_minor - refund.amount_minor
        return Outcome(NOT_MATCHED, "refund_differs", item, refund, difference_minor)
    if item.state == PAID:
        return Outcome(NOT_MATCHED, "refund_not_told", item, refund, -item.amount_minor)
    return Outcome(MATCHED, "", item, refund)


def _paired(item: Item, line: StoredLine) -> Outcome:
    """An item and the payment with its reference."""
    if line.state == UNKNOWN_STATE:
        return Outcome(UNKNOWN, "state_unknown", item, line, item.amount_minor)
    if line.state == DECLINED:
        cause = "declined_though_paid" if item.state == PAID else ""
        return Outcome(DECLINED_ITEM, cause, item, line, item.amount_minor if cause else 0)
    if item.state == REFUSED:
        return Outcome(NOT_MATCHED, "settled_though_refused", item, line, line.amount_minor)
    if item.state == GIVEN_BACK:
        return Outcome(NOT_MATCHED, "refund_missing", item, line, line.amount_minor)
    if item.state == ASKED:
        return Outcome(NOT_MATCHED, "settled_though_unknown", item, line, line.amount_minor)
    if line.amount_minor != item.amount_minor:
        return Outcome(NOT_MATCHED, "amount_differs", item, line, line.amount_minor - item.amount_minor)
    return Outcome(MATCHED, "", item, line)
