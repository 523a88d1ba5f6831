"""The evening in the back office: days are closed, and what came of it is read from the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from clearing.access.service import LOCAL
from clearing.endpoint import ConflictError
from clearing.ingest.models import TapRow
from clearing.ledger.chart import payable_account
from clearing.ledger.checks import check_ledger
from clearing.ledger.service import trial_balance
from clearing.network.service import list_carriers
from clearing.pricing.models import Fare
from clearing.settlement.service import list_closes
from simulator.chaos.stage import CITY

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.chaos.office import Office
    from simulator.chaos.scene import Scene

Key = tuple[bytes, int, int]


def close_days(office: Office, now_ms: int) -> int:
    """Close every service day on which something came; return how many versions that made."""
    with office.database.reading() as session:
        days = list(session.scalars(select(TapRow.service_day).distinct().order_by(TapRow.service_day)))
    return sum(_close(office, day, now_ms) for day in days)


def _close(office: Office, day: str, now_ms: int) -> int:
    run_close: Callable[..., object] = office.parts.close
    try:
        with office.database.writing() as session:
            run_close(session, CITY, day, LOCAL, now_ms)
    except ConflictError:
        return 0
    return 1


def fares_of(scene: Scene) -> dict[Key, Fare]:
    """Every ride in the books that a validator has recorded."""
    with scene.office.database.reading() as session:
        fares = session.scalars(select(Fare).where(Fare.source == "tap"))
        return {(fare.device_id or b"", fare.epoch or 0, fare.sequence or 0): fare for fare in fares}


def check_books(scene: Scene) -> list[str]:
    """The ledger balances, and owes the carriers what was cleared, once."""
    with scene.office.database.reading() as session:
        faults = check_ledger(session)
        balances = {balance.account: balance.amount_minor for balance in trial_balance(session, CITY)}
        cleared = session.scalar(select(func.coalesce(func.sum(Fare.charged_minor), 0))) or 0
        rides = session.scalar(select(func.count()).select_from(Fare)) or 0
        closed = sum(close.totals.rides for close in list_closes(session, CITY))
        carriers = [carrier.code for carrier in list_carriers(session, CITY)]
    # What the fare operator keeps was cleared for the carriers, too; what payers of concessions owe was not charged to riders.
    others = ("income:commission:", "asset:concession:")
    besides = sum(amount for account, amount in balances.items() if account.startswith(others))
    payable = -besides - sum(balances.get(payable_account(CITY, carrier), 0) for carrier in carriers)
    if sum(balances.values()):
        faults.append(f"the books are off by {sum(balances.values())}")
    if payable != cleared:
        faults.append(f"carriers are owed {payable}, cleared is {cleared}")
    if rides != closed:
        faults.append(f"{rides} rides are cleared, the closes say {closed}")
    return faults
