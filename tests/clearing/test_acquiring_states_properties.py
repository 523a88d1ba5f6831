"""Whatever comes twice, late, in another order or not at all: nobody is charged twice, and no money is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clearing.acquiring.states import (
    ASKED,
    AUTHORISE,
    CAPTURE,
    CLOSED,
    DONE,
    PAYMENT,
    REFUND,
    REFUSED,
    Operation,
    Standing,
    advance,
    next_step,
    standing_of,
)

OUTCOMES = (ASKED, REFUSED, DONE)
Event = tuple[str, str]  # reference, outcome


class Ledger:
    """A charge as the back office holds it: what was asked, and what has been heard of it."""

    def __init__(self) -> None:
        self.operations: dict[str, Operation] = {}

    def hear(self, event: Event) -> None:
        reference, told = event
        known = self.operations[reference]
        self.operations[reference] = Operation(
            reference, known.kind, known.number, known.amount_minor, advance(known.outcome, told), known.original
        )

    def standing(self, due_minor: int) -> Standing:
        return standing_of(due_minor, self.operations.values())


class Bank:
    """What has truly happened: an operation is decided once, by its reference, and money moves once."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}
        self.moved_minor = 0

    def do(self, operation: Operation, *, approves: bool) -> Event:
        if operation.reference not in self.ended:
            self.ended[operation.reference] = DONE if approves else REFUSED
            if approves:
                sign = {CAPTURE: 1, PAYMENT: 1, REFUND: -1}.get(operation.kind, 0)
                self.moved_minor += sign * operation.amount_minor
        return operation.reference, self.ended[operation.reference]


FATES = st.sampled_from(["answered", "lost on the way in", "answer lost", "answered twice", "told late"])


@given(
    dues=st.lists(st.integers(0, 5).map(lambda rides: rides * 10_000), min_size=1, max_size=6),
    fates=st.lists(FATES, min_size=60, max_size=60),
    approvals=st.lists(st.booleans(), min_size=60, max_size=60),
    order=st.randoms(use_true_random=False),
    pays=st.sets(st.integers(0, 40), max_size=3),
)
def test_no_sequence_of_lost_doubled_and_late_messages_charges_twice_or_loses_money(
    dues: list[int], fates: list[str], approvals: list[bool], order: object, pays: set[int]
) -> None:
    ledger, bank = Ledger(), Bank()
    late: list[Event] = []
    for turn, (fate, approves) in enumerate(zip(fates, approvals, strict=True)):
        due_minor = dues[min(turn // 8, len(dues) - 1)]
        standing = ledger.standing(due_minor)
        if turn in pays and standing.missing_minor:
            payment = Operation(f"P{turn}", PAYMENT, standing.attempt, standing.missing_minor, DONE)
            ledger.operations[payment.reference] = payment
            bank.do(payment, approves=True)
        if late and turn % 5 == 0:
            order.shuffle(late)  # type: ignore[attr-defined]
            ledger.hear(late.pop())
        waiting = [each for each in ledger.operations.values() if each.outcome == ASKED]
        step = next_step(ledger.standing(due_minor), ledger.operations.values(), is_over=True, may_try=True)
        assert not (waiting and step), "nothing further is asked while an end is not known"
        if step is not None:
            asked = Operation(
                f"{step.kind}-{step.number}", step.kind, step.number, step.amount_minor, ASKED, step.original
            )
            assert asked.reference not in ledger.operations, "every reference is used once"
            ledger.operations[asked.reference] = asked
            waiting = [asked]
        for operation in waiting:
            if fate == "lost on the way in":
                continue
            event = bank.do(operation, approves=approves)
            if fate == "told late":
                late.append(event)
            elif fate != "answer lost":
                for _ in range(2 if fate == "answered twice" else 1):
                    ledger.hear(event)
        held = ledger.standing(due_minor)
        known_minor = held.taken_minor - held.returned_minor
        assert known_minor >= 0
    _settle(ledger, bank, dues[-1])


def _settle(ledger: Ledger, bank: Bank, due_minor: int) -> None:
    """When faults stop, everything that was asked is asked after, every card has money, and what is left is done."""
    for _ in range(40):
        for operation in list(ledger.operations.values()):
            if operation.outcome == ASKED:
                ledger.hear(bank.do(operation, approves=True))
        step = next_step(ledger.standing(due_minor), ledger.operations.values(), is_over=True, may_try=True)
        if step is None:
            break
        asked = Operation(f"{step.kind}-{step.number}", step.kind, step.number, step.amount_minor, ASKED, step.original)
        assert asked.reference not in ledger.operations
        ledger.operations[asked.reference] = asked
    standing = ledger.standing(due_minor)
    assert standing.state == CLOSED
    assert standing.taken_minor - standing.returned_minor == bank.moved_minor == due_minor


@st.composite
def _facts(draw: st.DrawFn) -> list[Operation]:
    facts = []
    for number in range(1, draw(st.integers(1, 5))):
        minor = draw(st.integers(1, 5)) * 1_000
        facts.append(Operation(f"A{number}", AUTHORISE, number, minor, draw(st.sampled_from(OUTCOMES))))
        if draw(st.booleans()):
            facts.append(Operation(f"C{number}", CAPTURE, number, minor, draw(st.sampled_from(OUTCOMES))))
        if draw(st.booleans()):
            facts.append(Operation(f"P{number}", PAYMENT, number, minor, DONE))
    return facts


@given(_facts(), st.integers(0, 30_000), st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_facts_says_nothing(
    facts: list[Operation], due_minor: int, is_given_up: bool, is_liable: bool, order: object
) -> None:
    told = {"is_given_up": is_given_up, "is_issuer_liable": is_liable}
    before = standing_of(due_minor, facts, **told)
    shuffled = list(facts)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert standing_of(due_minor, shuffled, **told) == before


@given(st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_an_outcome_is_the_same_in_whatever_order_it_was_told(told: list[str], order: object) -> None:
    def after(outcomes: list[str]) -> str:
        outcome = ASKED
        for each in outcomes:
            outcome = advance(outcome, each)
        return outcome

    shuffled = [*told, *told]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert after(shuffled) == after(told)
