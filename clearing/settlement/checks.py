"""What must hold between closes, books and media, one function for each; each returns all faults it finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.channels.models import TopUp
from clearing.ledger.chart import pending_account, purses_account
from clearing.ledger.models import EntryRow, PostingRow
from clearing.pricing.models import Fare
from clearing.settlement.booking import legs_by_subject
from clearing.settlement.models import Close
from clearing.settlement.totals import sha256_of, totals_from_json

_PURSE = "transport_card"


def check_day(session: Session, close: Close) -> list[str]:
    """The checks that concern one day, after its newest version was booked."""
    return [
        *_digest_faults([close]),
        *_booking_faults(session, close),
        *_purse_faults(session, close),
    ]


def check_close_digests(session: Session, city: str | None = None) -> list[str]:
    """Every close says what its digest was made over."""
    return _digest_faults(_closes(session, city))


def _digest_faults(closes: Sequence[Close]) -> list[str]:
    return [
        f"{_name(close)}: its text is not what was closed"
        for close in closes
        if sha256_of(close.totals_json) != close.sha256
    ]


def check_closes_are_booked(session: Session, city: str | None = None) -> list[str]:
    """The entries of all versions of a day add up to what its newest close says."""
    return [fault for close in _newest(session, city) for fault in _booking_faults(session, close)]


def _booking_faults(session: Session, close: Close) -> Iterator[str]:
    said: dict[str, int] = {}
    for legs in legs_by_subject(close.city, totals_from_json(close.totals_json)).values():
        for account, amount in legs.items():
            said[account] = said.get(account, 0) + amount
    booked = _booked(session, close)
    for account in sorted({*said, *booked}):
        off_minor = booked.get(account, 0) - said.get(account, 0)
        if off_minor:
            yield f"{_name(close)}: {account} is off by {off_minor} tiyn"


def _booked(session: Session, close: Close) -> Mapping[str, int]:
    prefix = f"close/{close.city}/{close.service_day}/"
    rows = session.execute(
        select(PostingRow.account, func.sum(PostingRow.amount_minor))
        .join(EntryRow, EntryRow.id == PostingRow.entry_id)
        .where(EntryRow.city == close.city, EntryRow.service_day == close.service_day)
        .where(EntryRow.entry_key.startswith(prefix, autoescape=True))
        .group_by(PostingRow.account)
    )
    return {account: int(amount) for account, amount in rows}


def check_purses(session: Session, city: str | None = None) -> list[str]:
    """The control account of purses, with what waits for its card, is what media were loaded with less what they rode off."""
    return [fault for close in _newest(session, city) for fault in _purse_faults(session, close)]


def _purse_faults(session: Session, close: Close) -> Iterator[str]:
    """What has come since the close is not in it: it is taken off where the moment tells, and may be either where it does not."""
    of_day = (TopUp.city == close.city, TopUp.service_day == close.service_day)
    loaded = [
        session.scalar(select(func.coalesce(func.sum(TopUp.amount_minor), 0)).where(*of_day, since)) or 0
        for since in (TopUp.received_at_ms < close.closed_at_ms, TopUp.received_at_ms <= close.closed_at_ms)
    ]
    ridden = session.scalar(
        select(func.coalesce(func.sum(Fare.charged_minor + Fare.correction_minor), 0)).where(
            Fare.city == close.city, Fare.service_day == close.service_day, Fare.medium == _PURSE
        )
    )
    totals = totals_from_json(close.totals_json)
    adjusted = {purses_account(close.city), pending_account(close.city)}
    legs = legs_by_subject(close.city, totals)
    booked = sum(
        amount
        for subject, amounts in legs.items()
        for account, amount in amounts.items()
        if account in adjusted and subject != "adjustments"
    )
    low, high = (int(ridden or 0) - int(each) for each in reversed(loaded))
    if not low <= booked <= high:
        yield f"{_name(close)}: purses are booked with {booked} tiyn, the media say {low} to {high}"


def _closes(session: Session, city: str | None) -> Sequence[Close]:
    query = select(Close).order_by(Close.city, Close.service_day, Close.version)
    return session.scalars(query if city is None else query.where(Close.city == city)).all()


def _newest(session: Session, city: str | None) -> list[Close]:
    newest = {(close.city, close.service_day): close for close in _closes(session, city)}
    return [newest[place] for place in sorted(newest)]


def _name(close: Close) -> str:
    return f"close {close.city} {close.service_day}, version {close.version}"


CHECKS = (check_close_digests, check_closes_are_booked, check_purses)
