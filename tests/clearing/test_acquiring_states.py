"""What becomes of a charge by its facts: each way through the table of states, without a database."""

from __future__ import annotations

import pytest

from clearing.acquiring.states import (
    ASKED,
    AUTHORISE,
    AUTHORISED,
    CAPTURE,
    CHARGEBACK,
    CLOSED,
    DEBT,
    DEBT_FINAL,
    DONE,
    OPEN,
    PAYMENT,
    REFUND,
    REFUSED,
    Operation,
    Step,
    advance,
    next_step,
    standing_of,
)

DUE = 20_000


def fact(kind: str, outcome: str, number: int = 1, minor: int = DUE, original: str = "") -> Operation:
    return Operation(f"{kind}-{number}", kind, number, minor, outcome, original)


PAID = [fact(AUTHORISE, DONE), fact(CAPTURE, DONE)]


@pytest.mark.parametrize(
    ("facts", "state", "step"),
    [
        ([], OPEN, Step(AUTHORISE, 1, DUE)),
        ([fact(AUTHORISE, ASKED)], OPEN, None),
        ([fact(AUTHORISE, DONE)], AUTHORISED, Step(CAPTURE, 1, DUE)),
        ([fact(AUTHORISE, DONE), fact(CAPTURE, ASKED)], AUTHORISED, None),
        (PAID, CLOSED, None),
        ([fact(AUTHORISE, REFUSED)], DEBT, Step(AUTHORISE, 2, DUE)),
        ([fact(AUTHORISE, DONE), fact(CAPTURE, REFUSED)], DEBT, Step(AUTHORISE, 2, DUE)),
        ([fact(AUTHORISE, REFUSED), fact(AUTHORISE, ASKED, 2)], DEBT, None),
        ([fact(AUTHORISE, REFUSED), fact(AUTHORISE, DONE, 2)], AUTHORISED, Step(CAPTURE, 2, DUE)),
        ([fact(AUTHORISE, REFUSED), fact(PAYMENT, DONE)], CLOSED, None),
        # The capture's notification is here before the answer to the authorisation.
        ([fact(AUTHORISE, ASKED), fact(CAPTURE, DONE)], CLOSED, None),
    ],
)
def test_each_state_follows_from_the_facts_and_says_what_is_next(
    facts: list[Operation], state: str, step: Step | None
) -> None:
    standing = standing_of(DUE, facts)
    assert standing.state == state
    assert next_step(standing, facts, is_over=True, may_try=True) == step


def test_nothing_is_asked_before_the_window_is_over_or_a_try_is_due() -> None:
    assert next_step(standing_of(DUE, []), [], is_over=False, may_try=True) is None
    facts = [fact(AUTHORISE, REFUSED)]
    assert next_step(standing_of(DUE, facts), facts, is_over=True, may_try=False) is None


def test_nothing_due_is_closed() -> None:
    assert standing_of(0, []).state == CLOSED


def test_what_is_missing_after_a_late_ride_is_asked_alone() -> None:
    standing = standing_of(DUE + 5_000, PAID)
    assert (standing.state, standing.missing_minor) == (OPEN, 5_000)
    assert next_step(standing, PAID, is_over=True, may_try=False) == Step(AUTHORISE, 2, 5_000)


def test_no_more_is_captured_than_is_due_by_now() -> None:
    facts = [fact(AUTHORISE, DONE)]
    assert next_step(standing_of(5_000, facts), facts, is_over=True, may_try=False) == Step(CAPTURE, 1, 5_000)
    assert standing_of(0, facts).state == CLOSED


def test_what_is_too_much_is_given_back_from_the_newest_payment_first() -> None:
    facts = [*PAID, fact(AUTHORISE, DONE, 2, 5_000), fact(CAPTURE, DONE, 2, 5_000)]
    standing = standing_of(12_000, facts)
    assert standing.excess_minor == 13_000
    assert next_step(standing, facts, is_over=True, may_try=False) == Step(REFUND, 1, 5_000, "capture-2")
    facts.append(fact(REFUND, DONE, 1, 5_000, "capture-2"))
    standing = standing_of(12_000, facts)
    assert next_step(standing, facts, is_over=True, may_try=False) == Step(REFUND, 2, 8_000, "capture-1")
    facts.append(fact(REFUND, DONE, 2, 8_000, "capture-1"))
    assert next_step(standing_of(12_000, facts), facts, is_over=True, may_try=False) is None


def test_a_refund_that_is_under_way_is_not_asked_twice() -> None:
    facts = [*PAID, fact(REFUND, ASKED, 1, DUE, "capture-1")]
    assert standing_of(0, facts).excess_minor == 0


@pytest.mark.parametrize("outcome", [ASKED, DONE])
def test_what_is_in_dispute_is_neither_asked_for_nor_given_back(outcome: str) -> None:
    facts = [*PAID, fact(CHARGEBACK, outcome, original="capture-1")]
    for due_minor in (DUE, 0):
        standing = standing_of(due_minor, facts)
        assert (standing.state, standing.missing_minor, standing.excess_minor) == (CLOSED, 0, 0)


def test_a_dispute_that_was_won_leaves_no_trace() -> None:
    assert standing_of(DUE, [*PAID, fact(CHARGEBACK, REFUSED, original="capture-1")]) == standing_of(DUE, PAID)


def test_a_debt_that_was_given_up_is_final_until_it_is_paid() -> None:
    facts = [fact(AUTHORISE, REFUSED)]
    standing = standing_of(DUE, facts, is_given_up=True)
    assert (standing.state, standing.owed_minor) == (DEBT_FINAL, DUE)
    assert next_step(standing, facts, is_over=True, may_try=True) is None
    assert standing_of(DUE, [*facts, fact(PAYMENT, DONE)], is_given_up=True).state == CLOSED


def test_the_issuer_is_liable_for_the_first_attempt_alone() -> None:
    facts = [fact(AUTHORISE, REFUSED)]
    standing = standing_of(DUE, facts, is_issuer_liable=True)
    assert next_step(standing, facts, is_over=True, may_try=False) == Step(CAPTURE, 1, DUE)
    second = [*facts, fact(CAPTURE, DONE), fact(AUTHORISE, REFUSED, 2)]
    assert standing_of(2 * DUE, second, is_issuer_liable=True).state == DEBT
    refused = [*facts, fact(CAPTURE, REFUSED)]
    assert standing_of(DUE, refused, is_issuer_liable=True).state == DEBT


def test_tries_are_counted_since_anything_was_taken() -> None:
    facts = [*PAID, *(fact(AUTHORISE, REFUSED, number) for number in (2, 3, 4)), fact(AUTHORISE, ASKED, 5)]
    assert standing_of(2 * DUE, facts).refused_in_a_row == 3
    facts.append(fact(PAYMENT, DONE, 4, 5_000))
    assert standing_of(2 * DUE, facts).refused_in_a_row == 0, "a payment ends the row"


def test_an_outcome_only_advances() -> None:
    for first, second, after in (
        (ASKED, DONE, DONE),
        (ASKED, REFUSED, REFUSED),
        (REFUSED, DONE, DONE),
        (DONE, REFUSED, DONE),
        (DONE, ASKED, DONE),
    ):
        assert advance(first, second) == after
