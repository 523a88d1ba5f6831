"""What our books say, item by item, for each kind of counterparty; in the one shape in which it is matched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.access.models import Principal
from clearing.acquiring.items import acquirer_items
from clearing.channels.models import QrPayment, SmsPayment, TopUp
from clearing.channels.senders import party_code
from clearing.media.models import PendingTopUp, ScreenReceipt
from clearing.network.parties import Parties
from clearing.network.service import city_of, parties_of
from clearing.reconciliation.matching import ASKED, GIVEN_BACK, PAID, REFUSED, Item
from clearing.reconciliation.models import StatementLine, StatementRow
from clearing.settlement.models import Payout
from clearing.statements.statement import SETTLED

_STATES = {"paid": PAID, "refunded": GIVEN_BACK}
_ACQUIRER_STATES = {"done": PAID, "refused": REFUSED, "asked": ASKED, "zero": PAID}
_CHARGEBACK = "chargeback"
WON = "chargeback won"
# Whether a party pays in time is asked of its debt as a whole (`clearing.channels.standing`), not of every payment.
_NEVER = "9999-12-31"


class Books:
    """Our books of one city, as of some service days, both included."""

    def __init__(self, session: Session, city: str, first_day: str, last_day: str) -> None:
        self._session = session
        self._city = city
        self._days = (first_day, last_day)
        self._zone = ZoneInfo(city_of(session, city).zone)
        self._parties: Parties = parties_of(session, city)
        self._names = dict(session.execute(select(Principal.id, Principal.name)).all())

    def items(self, kind: str, party: str) -> list[Item]:
        """The items that one party's statements should have."""
        readers = {
            "acquirer": self._acquirer,
            "qr_provider": self._qr,
            "sms_aggregator": self._sms,
            "agent": self._agent,
            "bank": self._bank,
        }
        return list(readers[kind](party))

    def day(self, at_s: int) -> str:
        """The calendar day of a moment, by which statements go."""
        return datetime.fromtimestamp(at_s, UTC).astimezone(self._zone).date().isoformat()

    def _item(self, reference: str, amount_minor: int, at_s: int, state: str) -> Item:
        return Item(reference, amount_minor, self.day(at_s), state, _NEVER)

    def _qr(self, party: str) -> Iterator[Item]:
        payments = self._session.scalars(
            select(QrPayment).where(QrPayment.city == self._city, QrPayment.service_day.between(*self._days))
        )
        told = set()
        for row in payments:
            if party_code(self._parties.qr_providers, self._names[row.provider]) in {party, ""}:
                told.add((row.provider, row.reference))
                state = _STATES.get(row.status, REFUSED)
                yield self._item(row.reference, row.amount_minor, row.paid_at_s, state)
        yield from self._receipts(party, told)

    def _receipts(self, party: str, told: set[tuple[str, str]]) -> Iterator[Item]:
        """Receipts for screen codes: the provider has taken the fare, and the validator has the ride."""
        rows = self._session.scalars(
            select(ScreenReceipt)
            .join(Principal, Principal.id == ScreenReceipt.issuer)
            .where(ScreenReceipt.city == self._city, Principal.name == party)
        )
        for row in rows:
            is_ours = self._days[0] <= self.day(row.issued_at_ms // 1000) <= self._days[1]
            if is_ours and (row.issuer, row.reference) not in told:
                yield self._item(row.reference, row.fare_minor, row.issued_at_ms // 1000, PAID)

    def _sms(self, party: str) -> Iterator[Item]:
        rows = self._session.scalars(
            select(SmsPayment).where(SmsPayment.city == self._city, SmsPayment.service_day.between(*self._days))
        )
        for row in rows:
            if party_code(self._parties.sms_aggregators, self._names[row.aggregator]) in {party, ""}:
                state = _STATES.get(row.status, REFUSED)
                yield self._item(row.reference, row.fare_minor, row.paid_at_s, state)

    def _agent(self, party: str) -> Iterator[Item]:
        rows = self._session.execute(
            select(TopUp, PendingTopUp.status)
            .outerjoin(PendingTopUp, PendingTopUp.top_up_id == TopUp.id)
            .where(TopUp.city == self._city, TopUp.service_day.between(*self._days))
        )
        for row, status in rows:
            if party_code(self._parties.agents, self._names[row.agent]) in {party, ""}:
                state = GIVEN_BACK if status == "refunded" else PAID
                yield self._item(row.reference, row.amount_minor, row.at_s, state)

    def _acquirer(self, _party: str) -> Iterator[Item]:
        acquirer = self._parties.acquirer
        term_days = 1 if acquirer is None else acquirer.settlement_days
        for each in acquirer_items(self._session, self._city, *self._days):
            day = each.service_day if each.done_at_ms is None else self.day(each.done_at_ms // 1000)
            due_day = _after(day, term_days)
            state = _ACQUIRER_STATES[each.state]
            if each.kind == _CHARGEBACK and state == REFUSED:
                # It took the money when it was opened, and brought it back when we won.
                yield Item(each.reference, each.amount_minor, day, PAID, due_day, _CHARGEBACK)
                yield Item(each.reference, -each.amount_minor, day, PAID, due_day, WON)
            else:
                yield Item(each.reference, each.amount_minor, day, state, due_day, each.kind)

    def _bank(self, _party: str) -> Iterator[Item]:
        """What the account should show beside remittances: what the acquirer says it pays out, and approved payouts."""
        paid_out = self._session.execute(
            select(StatementLine.day, func.sum(StatementLine.amount_minor - StatementLine.fee_minor))
            .join(StatementRow, StatementRow.id == StatementLine.statement_id)
            .where(StatementRow.city == self._city, StatementRow.kind == "acquirer", StatementRow.replaced_by.is_(None))
            .where(StatementLine.state == SETTLED, StatementLine.day.between(*self._days))
            .group_by(StatementLine.day)
        )
        for day, net_minor in paid_out:
            if net_minor:
                yield Item(f"acquirer {day}", int(net_minor), day, PAID, _after(day, 3))
        payouts = self._session.scalars(
            select(Payout).where(
                Payout.city == self._city, Payout.state == "approved", Payout.pay_on.between(*self._days)
            )
        )
        for row in payouts:
            yield Item(row.reference, -row.amount_minor, row.pay_on, PAID, _after(row.pay_on, 3))


def _after(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
