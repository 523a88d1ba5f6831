"""What becomes of a charge: the rides of one bank card within one window, and the money for them. Pure.

A validator cannot ask a bank. It checks that the card is genuine and is not denied, and lets the rider in; the money is asked
for when the window is over. A charge is what one card owes for one window, whatever arrives when: its *due* is the sum of its
rides, and what is *taken* should become equal to it. What is missing is authorised and captured, what is too much is refunded.
So a ride that comes late, or is priced anew, moves what is due, and there is never a second charge for it.

Facts are *operations*: something asked of the acquirer, or told by it, under a reference of its own. Each of them is `asked`
until its end is known, and ends `refused` or `done`. What is done stays done, whatever is said of it afterwards, since money has
moved; so an outcome only ever advances (asked, refused, done), and facts may come twice, late, in any order. The state is
a function of the facts and has no memory of its own:

| State | When | Event | Then |
|---|---|---|---|
| open | something is missing, and no attempt has ended | the window is over | authorise what is missing |
| | | approved | authorised |
| | | declined | debt; the card goes on the deny list |
| authorised | an attempt is approved, or the issuer is liable for it, and not captured | captured | closed |
| | | the capture is refused | debt |
| closed | nothing is missing | a late ride | open: a further attempt for the difference |
| | | priced less, or a refund by us | closed: the difference is refunded |
| debt | the newest attempt was declined | approved by a further try | authorised; the card is taken off the list |
| | | the cardholder has paid | closed; the card is taken off the list |
| | | no tries or no days are left | debt final |
| debt_final | it was given up, and is written off | the cardholder has paid after all | closed; the card is taken off the list |

Two rules keep it safe. Nothing further is asked for a charge while the end of something asked is not known: one asks what became
of it, by its reference, and sends the same again only when the acquirer has never heard of it. And a chargeback takes nothing
from what was taken: money that is in dispute is neither asked for again nor given back twice.

A card's first ride may be declined although nobody could know better. Where the issuer is liable (by the package, up to an
amount), such an attempt is captured all the same: it counts as approved, and the card is denied until it can be verified again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

OPEN = "open"
AUTHORISED = "authorised"
CLOSED = "closed"
DEBT = "debt"
DEBT_FINAL = "debt_final"
STATES = (OPEN, AUTHORISED, CLOSED, DEBT, DEBT_FINAL)

VERIFY = "verify"
AUTHORISE = "authorise"
CAPTURE = "capture"
REFUND = "refund"
PAYMENT = "payment"
CHARGEBACK = "chargeback"

ASKED = "asked"
REFUSED = "refused"
DONE = "done"
_RANKS = {ASKED: 0, REFUSED: 1, DONE: 2}


@dataclass(frozen=True)
class Operation:
    """One thing asked of the acquirer, or told by it.

    Attributes:
        kind: of a payment by the cardholder `payment`; of a dispute `chargeback`: done is lost, refused is won.
        number: of an authorisation and its capture, the attempt, from 1; of a payment, the attempt that it comes after.
        amount_minor: never negative.
        original: of a refund or a chargeback, the reference of what was taken.
    """

    reference: str
    kind: str
    number: int
    amount_minor: int
    outcome: str
    original: str = ""


@dataclass(frozen=True)
class Standing:
    """How a charge stands.

    Attributes:
        taken_minor, returned_minor: captured and paid; given back.
        missing_minor: still to be taken.
        excess_minor: to be given back.
        disputed_minor, lost_minor: charged back and not decided; decided against us.
        approved_minor: what the open approval is for; 0 without one.
        attempt: the newest attempt's number, 0 before the first; or, with an approval open, that one's.
        refused_in_a_row: attempts that were declined since anything was taken.
        is_waiting: the end of something asked is not known.
    """

    state: str
    taken_minor: int
    returned_minor: int
    missing_minor: int
    excess_minor: int
    disputed_minor: int
    lost_minor: int
    approved_minor: int
    attempt: int
    refused_in_a_row: int
    is_waiting: bool

    @property
    def owed_minor(self) -> int:
        """What the rider owes, as far as the bank has declined it or it was given up."""
        return self.missing_minor if self.state in {DEBT, DEBT_FINAL} else 0


@dataclass(frozen=True)
class Step:
    """What to ask next."""

    kind: str
    number: int
    amount_minor: int
    original: str = ""


def advance(outcome: str, told: str) -> str:
    """The outcome of an operation after something more is said of it."""
    return max(outcome, told, key=_RANKS.__getitem__)


def standing_of(
    due_minor: int, operations: Iterable[Operation], *, is_given_up: bool = False, is_issuer_liable: bool = False
) -> Standing:
    """How a charge stands by its facts, in whatever order they came."""
    facts = list(operations)
    taken_minor = _sum(facts, {CAPTURE, PAYMENT}, DONE)
    returned_minor = _sum(facts, {REFUND}, DONE)
    disputed_minor, lost_minor = _sum(facts, {CHARGEBACK}, ASKED), _sum(facts, {CHARGEBACK}, DONE)
    held_minor = taken_minor - returned_minor
    missing_minor = max(0, due_minor - held_minor)
    spoken_for_minor = due_minor + disputed_minor + lost_minor + _sum(facts, {REFUND}, ASKED)
    attempts = _attempts(facts, is_issuer_liable=is_issuer_liable)
    approved = {number: minor for number, (verdict, minor) in attempts.items() if verdict == DONE}
    refused = _refused_in_a_row(attempts, max((fact.number for fact in facts if fact.kind == PAYMENT), default=0))
    attempt = max(approved or attempts, default=0)
    return Standing(
        _state(missing_minor, bool(approved), is_given_up, bool(refused)),
        taken_minor,
        returned_minor,
        missing_minor,
        max(0, held_minor - spoken_for_minor),
        disputed_minor,
        lost_minor,
        approved.get(attempt, 0),
        attempt,
        refused,
        any(fact.outcome == ASKED and fact.kind in {AUTHORISE, CAPTURE, REFUND} for fact in facts),
    )


def _sum(facts: Iterable[Operation], kinds: set[str], outcome: str) -> int:
    return sum(fact.amount_minor for fact in facts if fact.kind in kinds and fact.outcome == outcome)


def _attempts(facts: Sequence[Operation], *, is_issuer_liable: bool) -> dict[int, tuple[str, int]]:
    """How each attempt stands, and its amount: done is approved and to be captured, `capture` that it was."""
    found: dict[int, tuple[str, int]] = {}
    captures = {fact.number: fact for fact in facts if fact.kind == CAPTURE}
    for fact in facts:
        if fact.kind != AUTHORISE:
            continue
        capture, verdict = captures.get(fact.number), fact.outcome
        if verdict == REFUSED and fact.number == 1 and is_issuer_liable:
            verdict = DONE
        if capture is not None and capture.outcome != ASKED:
            verdict = CAPTURE if capture.outcome == DONE else REFUSED
        found[fact.number] = verdict, fact.amount_minor
    return found


def _refused_in_a_row(attempts: Mapping[int, tuple[str, int]], paid_after: int) -> int:
    """How many of the newest attempts were declined; one whose end is not known says nothing, and a payment ends the row."""
    count = 0
    for number in sorted(attempts, reverse=True):
        verdict, _ = attempts[number]
        if verdict == ASKED:
            continue
        if verdict != REFUSED or number <= paid_after:
            break
        count += 1
    return count


def _state(missing_minor: int, is_approved: bool, is_given_up: bool, is_declined: bool) -> str:
    if missing_minor == 0:
        return CLOSED
    if is_approved:
        return AUTHORISED
    if is_given_up:
        return DEBT_FINAL
    return DEBT if is_declined else OPEN


def next_step(standing: Standing, operations: Iterable[Operation], *, is_over: bool, may_try: bool) -> Step | None:
    """What to ask of the acquirer next; nothing while it owes an answer.

    Args:
        standing: of the charge.
        operations: that it is of.
        is_over: the window is over, and all its rides are priced.
        may_try: a further try to recover a debt is due.
    """
    if standing.is_waiting:
        return None
    if standing.excess_minor:
        return _refund(list(operations), standing.excess_minor)
    if standing.state == AUTHORISED:
        return Step(CAPTURE, standing.attempt, min(standing.approved_minor, standing.missing_minor))
    if (standing.state == OPEN and is_over) or (standing.state == DEBT and may_try):
        return Step(AUTHORISE, standing.attempt + 1, standing.missing_minor)
    return None


def _refund(facts: Sequence[Operation], excess_minor: int) -> Step:
    """Give back from the newest payment that has anything left; what is left over is the next step's."""
    left = {fact.reference: 0 for fact in facts}
    payments = [fact for fact in facts if fact.kind in {CAPTURE, PAYMENT} and fact.outcome == DONE]
    for fact in payments:
        left[fact.reference] += fact.amount_minor
    for fact in facts:
        if fact.kind in {REFUND, CHARGEBACK} and fact.outcome != REFUSED:
            left[fact.original] = left.get(fact.original, 0) - fact.amount_minor
    newest = max(
        (fact for fact in payments if left[fact.reference] > 0), key=lambda fact: (fact.number, fact.reference)
    )
    number = 1 + sum(fact.kind == REFUND for fact in facts)
    return Step(REFUND, number, min(excess_minor, left[newest.reference]), newest.reference)
