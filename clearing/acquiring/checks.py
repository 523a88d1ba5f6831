"""What must hold of bank cards and of what is booked about them; each returns all faults it finds.

The charges are the sub-ledger. The receivable of the acquirer is what they still have to bring, and so are the riders' debts and
the chargebacks. Adjustments by two persons are left out: they say themselves what they put right.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, ScalarSelect, func, select, true
from sqlalchemy.orm import Session

from clearing.acquiring.models import AcquirerOperation, Charge, ChargeLine
from clearing.acquiring.states import ASKED, CAPTURE, CHARGEBACK, DONE, PAYMENT, REFUND
from clearing.acquiring.terms import MEDIA
from clearing.ledger.chart import acquirer_account, chargeback_account, debt_account
from clearing.ledger.models import EntryRow, PostingRow
from clearing.money import format_minor
from clearing.network.models import City
from clearing.pricing.models import Fare

_SHOWN = 20


def check_balances(session: Session, city: str | None = None) -> list[str]:
    """Receivable, debts and chargebacks in the books are what fares and charges say."""
    faults = []
    for code in _cities(session, city):
        expected = _expected(session, code)
        for account, amount_minor in expected.items():
            booked_minor = _booked(session, code, account)
            if booked_minor != amount_minor:
                faults.append(
                    f"{account}: {format_minor(booked_minor)} in the books, {format_minor(amount_minor)} by the charges"
                )
    return faults


def _cities(session: Session, city: str | None) -> Iterable[str]:
    return [city] if city else session.scalars(select(City.code).order_by(City.code)).all()


def _expected(session: Session, city: str) -> dict[str, int]:
    """What the control accounts should stand at. Rides that are in no charge yet are owed by the acquirer as well."""
    fares = select(func.sum(Fare.charged_minor)).where(Fare.city == city, Fare.medium.in_(MEDIA))
    sums = session.execute(
        select(
            func.sum(Charge.owed_minor),
            func.sum(Charge.written_off_minor),
            func.sum(Charge.disputed_minor),
            func.sum(Charge.lost_minor),
            func.sum(Charge.settled_minor),
            func.sum(Charge.let_off_minor),
        ).where(Charge.city == city)
    ).one()
    owed, written_off, disputed, lost, settled, let_off = (int(each or 0) for each in sums)
    fares_minor = int(session.scalar(fares) or 0)
    return {
        acquirer_account(city): fares_minor - owed - disputed - lost - settled - let_off,
        debt_account(city): owed - written_off,
        chargeback_account(city): disputed,
    }


def _booked(session: Session, city: str, account: str) -> int:
    """What the close and acquiring have booked on an account and those below it, whoever the acquirer was."""
    booked = (
        select(func.sum(PostingRow.amount_minor))
        .join(EntryRow, EntryRow.id == PostingRow.entry_id)
        .where(EntryRow.city == city)
        .where((PostingRow.account == account) | PostingRow.account.startswith(f"{account}:", autoescape=True))
        .where(~EntryRow.entry_key.startswith(f"adjustment/{city}/", autoescape=True))
    )
    return int(session.scalar(booked) or 0)


def check_charges_add_up(session: Session, city: str | None = None) -> list[str]:
    """A charge is what its lines are, and what was taken is what its operations say."""
    lines = (
        select(func.coalesce(func.sum(ChargeLine.amount_minor), 0))
        .where(ChargeLine.charge_id == Charge.id)
        .scalar_subquery()
    )
    sums = {
        "it is not what its rides are": (Charge.fares_minor, lines),
        "it has not taken what was captured and paid": (Charge.taken_minor, _done(CAPTURE, PAYMENT)),
        "it has not given back what was refunded": (Charge.returned_minor, _done(REFUND)),
    }
    faults = []
    for fault, (column, expected) in sums.items():
        query = select(Charge.reference).where(column != expected, _of_city(city))
        found = session.scalars(query.order_by(Charge.reference).limit(_SHOWN))
        faults += [f"{reference}: {fault}" for reference in found]
    return faults


def _done(*kinds: str, outcomes: Iterable[str] = (DONE,)) -> ScalarSelect[int]:
    return (
        select(func.coalesce(func.sum(AcquirerOperation.amount_minor), 0))
        .where(AcquirerOperation.charge_id == Charge.id, AcquirerOperation.kind.in_(kinds))
        .where(AcquirerOperation.outcome.in_(tuple(outcomes)))
        .scalar_subquery()
    )


def check_nobody_pays_twice(session: Session, city: str | None = None) -> list[str]:
    """No charge holds more than is due, unless it is on its way back to the rider or in dispute.

    What is to be given back is asked for by the next run; a fault is only what nobody will ask for any more.
    """
    held = Charge.taken_minor - Charge.returned_minor - _done(CHARGEBACK, outcomes=(ASKED, DONE))
    waiting = select(AcquirerOperation.id).where(
        AcquirerOperation.charge_id == Charge.id,
        AcquirerOperation.outcome == ASKED,
        AcquirerOperation.kind != CHARGEBACK,
    )
    forgotten = session.execute(
        select(Charge.reference, held - Charge.fares_minor)
        .where(held > Charge.fares_minor, Charge.next_at_ms.is_(None), ~waiting.exists(), _of_city(city))
        .order_by(Charge.reference)
        .limit(_SHOWN)
    )
    return [
        f"{reference}: {format_minor(int(minor))} is owed back to the rider, and the acquirer has refused to give it"
        for reference, minor in forgotten
    ]


def _of_city(city: str | None) -> ColumnElement[bool]:
    return true() if city is None else Charge.city == city


CHECKS = (check_balances, check_charges_add_up, check_nobody_pays_twice)


def check_acquiring(session: Session, city: str | None = None) -> list[str]:
    """Run every check and return every fault."""
    return [fault for check in CHECKS for fault in check(session, city)]
