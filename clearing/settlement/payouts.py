"""Payouts: what carriers are owed becomes money, once. Proposed by one person, decided by another, booked when approved.

A payout pays entries: all that touch the carrier's payable, up to some service day, and that no payout has paid. What a later
version of a day books is a further entry, and so goes into the next payout. Cash that the carrier holds is set off first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import and_, delete, func, select
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import ask_approval, decide_approval, record_audit, use_approval
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.ledger.chart import bank_account, counted_account, payable_account, short_account, till_account
from clearing.ledger.entries import entry_of
from clearing.ledger.models import EntryRow, PostingRow
from clearing.ledger.service import book
from clearing.network.parties import CarrierAccount, Operator
from clearing.network.service import lock_city, parties_of
from clearing.network.service_day import day_end_s
from clearing.settlement.gathering import APPROVED
from clearing.settlement.models import Payout, PayoutItem
from clearing.settlement.parties import paying_operator
from clearing.settlement.service import carrier_names

PROPOSED, REJECTED = "proposed", "rejected"
_ACTION = "payout.pay"
_OWN_ENTRIES = "payout/"
_LANGUAGE = "ru"


@dataclass(frozen=True)
class PayoutView:
    """A payout as it is shown.

    Attributes:
        number: by which it is decided.
        due_minor: what is owed; `netted` is set off against it by account; `amount_minor` goes over the bank.
        state: `proposed`, `approved` or `rejected`.
    """

    number: int
    reference: str
    city: str
    party: str
    name: str
    first_day: str
    last_day: str
    due_minor: int
    netted: tuple[tuple[str, int], ...]
    amount_minor: int
    pay_on: str
    bin: str
    iban: str
    bic: str
    beneficiary_code: str
    purpose: str
    state: str


@dataclass(frozen=True)
class Left:
    """A carrier who is not paid now, and why."""

    party: str
    due_minor: int
    reason: str


@dataclass(frozen=True)
class _Item:
    entry_id: int
    day: str
    amount_minor: int


def propose_payouts(
    session: Session, caller: Caller, now_ms: int, city: str, last_day: str
) -> tuple[list[PayoutView], list[Left]]:
    """Propose to pay all carriers what is not paid yet, up to a service day; returns the proposals, and who is left out and why.

    Raises:
        InvalidError: the day is not over.
    """
    must_reach(caller, "payout.propose", city)
    zone = lock_city(session, city).zone
    if now_ms < day_end_s(zone, last_day) * 1000:
        raise InvalidError(f"the service day {last_day} is not over", "pay for days that are closed")
    parties, names = parties_of(session, city, last_day), carrier_names(session, city, _LANGUAGE)
    proposed, left = [], []
    for carrier, name in names.items():
        items = _unpaid(session, city, carrier, last_day)
        due_minor = sum(item.amount_minor for item in items)
        account = parties.carrier(carrier)
        operator = paying_operator(parties, carrier)
        reason = _reason_to_wait(due_minor, account, operator)
        if account is None or operator is None or reason:
            if items:
                left.append(Left(carrier, due_minor, reason))
            continue
        netted = _held(session, city, carrier, last_day, due_minor)
        row = Payout(
            reference=_next_reference(session, city, carrier, last_day),
            city=city,
            party=carrier,
            first_day=min(item.day for item in items),
            last_day=last_day,
            due_minor=due_minor,
            netted_json=canonical_json(netted),
            amount_minor=due_minor - sum(netted.values()),
            pay_on=(date.fromisoformat(last_day) + timedelta(operator.payout_days)).isoformat(),
            name=name,
            bin=account.bin,
            iban=account.iban,
            bic=account.bic,
            beneficiary_code=account.beneficiary_code,
            purpose=operator.payment_purpose,
            state=PROPOSED,
        )
        _ask(session, caller, now_ms, row, items)
        proposed.append(_view(row))
    return proposed, left


def _reason_to_wait(due_minor: int, account: CarrierAccount | None, operator: Operator | None) -> str:
    if due_minor <= 0:
        return "nothing is owed: it waits for the next payout"
    if account is None:
        return "the city package names no account: add it to [[carrier]] in parties.toml"
    if operator is None:
        return "the city package names no fare operator that pays: add it to [[operator]] in parties.toml"
    if due_minor < operator.payout_minimum_minor:
        return f"less than {operator.payout_minimum_minor} tiyn: it waits for the next payout"
    return ""


def _unpaid(session: Session, city: str, carrier: str, last_day: str) -> list[_Item]:
    """Entries on a carrier's payable, of service days up to this one, that no payout pays."""
    account = payable_account(city, carrier)
    paid = and_(PayoutItem.entry_id == EntryRow.id, PayoutItem.account == account)
    rows = session.execute(
        select(EntryRow.id, EntryRow.service_day, func.sum(-PostingRow.amount_minor))
        .join(PostingRow, and_(PostingRow.entry_id == EntryRow.id, PostingRow.account == account))
        .outerjoin(PayoutItem, paid)
        .where(EntryRow.city == city, EntryRow.service_day <= last_day, PayoutItem.entry_id.is_(None))
        .where(EntryRow.entry_key.not_like(f"{_OWN_ENTRIES}%"))
        .group_by(EntryRow.id, EntryRow.service_day)
        .order_by(EntryRow.id)
    )
    return [_Item(entry_id, day, int(amount)) for entry_id, day, amount in rows]


def _held(session: Session, city: str, carrier: str, last_day: str, due_minor: int) -> dict[str, int]:
    """Cash of these days and before that a carrier still holds or must make good, as far as it can be set off."""
    held = _cash(session, city, carrier, last_day)
    proposed = select(Payout).where(Payout.city == city, Payout.party == carrier, Payout.state == PROPOSED)
    for other in session.scalars(proposed):
        held.subtract(other.netted())
    netted, rest_minor = {}, due_minor
    for account in _cash_accounts(city, carrier):
        part_minor = min(held[account], rest_minor)
        if part_minor > 0:
            netted[account] = part_minor
            rest_minor -= part_minor
    return netted


def _cash_accounts(city: str, carrier: str) -> tuple[str, ...]:
    return till_account(city, carrier), counted_account(city, carrier), short_account(city, carrier)


def _cash(session: Session, city: str, carrier: str, last_day: str) -> Counter[str]:
    """What a carrier holds or must make good of these days and before, by account."""
    rows = session.execute(
        select(PostingRow.account, func.sum(PostingRow.amount_minor))
        .join(EntryRow, EntryRow.id == PostingRow.entry_id)
        .where(PostingRow.account.in_(_cash_accounts(city, carrier)), EntryRow.service_day <= last_day)
        .group_by(PostingRow.account)
    )
    return Counter({account: int(amount) for account, amount in rows})


def _next_reference(session: Session, city: str, carrier: str, last_day: str) -> str:
    """A name for the payment that banks can carry (35 characters), not used in the city before."""
    start = f"P{last_day.replace('-', '')}-{carrier[:16]}-"
    used = select(func.count()).select_from(Payout).where(Payout.city == city)
    return f"{start}{(session.scalar(used.where(Payout.reference.startswith(start, autoescape=True))) or 0) + 1}"


def _ask(session: Session, caller: Caller, now_ms: int, row: Payout, items: Iterable[_Item]) -> None:
    row.approval_id = ask_approval(session, caller, now_ms, _ACTION, _subject(row), _body(row)).id
    session.add(row)
    session.flush()
    account = payable_account(row.city, row.party)
    session.add_all(
        PayoutItem(entry_id=item.entry_id, account=account, payout_id=row.id, amount_minor=item.amount_minor)
        for item in items
    )
    session.flush()


def _subject(row: Payout) -> str:
    return f"{row.city}/{row.reference}"


def _body(row: Payout) -> bytes:
    """Exactly what is decided: to whom, how much, to which account."""
    return canonical_json(
        {
            "reference": row.reference,
            "party": row.party,
            "due_minor": row.due_minor,
            "netted": row.netted(),
            "amount_minor": row.amount_minor,
            "iban": row.iban,
            "pay_on": row.pay_on,
        }
    ).encode()


def decide_payout(session: Session, caller: Caller, now_ms: int, number: int, approve: bool) -> PayoutView:
    """Decide a payout that somebody else proposed; an approved one is booked, what a rejected one would have paid is free again.

    Raises:
        ForbiddenError: whoever proposed it cannot decide.
        ConflictError: it was decided already, or the cash that it sets off is not with the carrier any more.
    """
    row = session.get(Payout, number, with_for_update=True)
    if row is None:
        raise NotFoundError(f"there is no payout {number}", "list them: jolaqy payout list")
    must_reach(caller, "payout.approve", row.city)
    lock_city(session, row.city)
    decide_approval(session, caller, now_ms, row.approval_id, approve)
    if approve:
        use_approval(session, now_ms, _ACTION, _subject(row), _body(row))
        _refuse_gone_cash(session, row)
        row.state = APPROVED
        _book(session, row, now_ms)
    else:
        row.state = REJECTED
        session.execute(delete(PayoutItem).where(PayoutItem.payout_id == row.id))
    session.flush()
    detail = {"state": row.state, "amount_minor": row.amount_minor}
    record_audit(session, caller.principal_id, now_ms, "payout.decide", _subject(row), detail)
    return _view(row)


def _refuse_gone_cash(session: Session, row: Payout) -> None:
    held = _cash(session, row.city, row.party, row.last_day)
    if any(held[account] < amount_minor for account, amount_minor in row.netted().items()):
        raise ConflictError(
            f"cash that payout {row.id} sets off has been counted or banked since", "reject it, and propose anew"
        )


def _book(session: Session, row: Payout, now_ms: int) -> None:
    legs = {payable_account(row.city, row.party): row.due_minor, bank_account(row.city): -row.amount_minor}
    legs |= {account: -amount for account, amount in row.netted().items()}
    key = f"{_OWN_ENTRIES}{row.city}/{row.last_day}/{row.reference}"
    entry = entry_of(key, row.city, row.last_day, f"payout {row.reference}", legs)
    assert entry is not None, "a payout pays something"
    book(session, entry, now_ms)


def list_payouts(
    session: Session, city: str, state: str | None = None, numbers: Sequence[int] = ()
) -> list[PayoutView]:
    """Payouts of a city, oldest first: of one state, or those of these numbers."""
    query = select(Payout).where(Payout.city == city).order_by(Payout.id)
    if state is not None:
        query = query.where(Payout.state == state)
    if numbers:
        query = query.where(Payout.id.in_(numbers))
    return [_view(row) for row in session.scalars(query)]


def _view(row: Payout) -> PayoutView:
    return PayoutView(
        row.id,
        row.reference,
        row.city,
        row.party,
        row.name,
        row.first_day,
        row.last_day,
        row.due_minor,
        tuple(sorted(row.netted().items())),
        row.amount_minor,
        row.pay_on,
        row.bin,
        row.iban,
        row.bic,
        row.beneficiary_code,
        row.purpose,
        row.state,
    )
