"""The three-way check of top-ups from what is stored: sales of some days against validators' reports and cards' balances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.channels.models import TopUp
from clearing.channels.top_up_check import Sale, Sighting, ThreeWay, check_three_ways
from clearing.ingest.models import TapRow
from clearing.media.models import PendingTopUp
from clearing.network.service import city_of
from protocol.decisions import DECISION_COMMITTED, DECISION_TOPPED_UP
from protocol.tap import KIND_INTENT, KIND_OUTCOME, KIND_TOP_UP

_CARDS_AT_ONCE = 500


def top_up_report(session: Session, city: str, first_day: str, last_day: str) -> ThreeWay:
    """The check of all top-ups that were sold on these service days, both included."""
    city_of(session, city)
    rows = session.execute(
        select(TopUp, PendingTopUp.status)
        .outerjoin(PendingTopUp, PendingTopUp.top_up_id == TopUp.id)
        .where(TopUp.city == city, TopUp.service_day.between(first_day, last_day))
        .order_by(TopUp.id)
    )
    sales = [Sale(row.reference, row.token, row.amount_minor, row.at_s, status or "loaded") for row, status in rows]
    return check_three_ways(sales, _sightings(session, city, sorted({sale.token for sale in sales})))


def _sightings(session: Session, city: str, tokens: Sequence[bytes]) -> Iterator[Sighting]:
    """What cards have said of themselves, whenever that was."""
    for start in range(0, len(tokens), _CARDS_AT_ONCE):
        some = tokens[start : start + _CARDS_AT_ONCE]
        rows = session.execute(
            select(
                TapRow.device_id,
                TapRow.epoch,
                TapRow.sequence,
                TapRow.kind,
                TapRow.token,
                TapRow.decision,
                TapRow.card_counter,
                TapRow.balance_minor,
                TapRow.fare_minor,
                TapRow.tapped_at_s,
                TapRow.rebased_at_s,
                TapRow.reference_first,
            ).where(
                TapRow.city == city, TapRow.token.in_(some), TapRow.kind.in_((KIND_INTENT, KIND_TOP_UP, KIND_OUTCOME))
            )
        ).all()
        begun = {(row.device_id, row.epoch, row.sequence): row for row in rows if row.kind != KIND_OUTCOME}
        for row in rows:
            intent = begun.get((row.device_id, row.epoch, row.reference_first))
            if row.kind != KIND_OUTCOME or intent is None or row.balance_minor is None or intent.card_counter is None:
                continue
            if row.decision not in {DECISION_COMMITTED, DECISION_TOPPED_UP}:
                continue
            amount_minor, is_load = intent.fare_minor or 0, intent.kind == KIND_TOP_UP
            yield Sighting(
                row.token,
                intent.card_counter + 1,
                row.balance_minor,
                row.tapped_at_s if row.rebased_at_s is None else row.rebased_at_s,
                0 if is_load else amount_minor,
                amount_minor if is_load else 0,
            )
