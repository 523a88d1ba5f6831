"""HTTP of the ledger: the trial balance, as it stands and over service days."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf, Day, InvalidError
from clearing.ledger.checks import check_ledger
from clearing.ledger.service import trial_balance, turnovers
from clearing.network.service import city_of

router = APIRouter(prefix="/v1")


@router.get("/ledger/trial-balance")
def read_trial_balance(
    _caller: Annotated[Caller, Depends(require("ledger.read"))], database: DatabaseOf, city: str
) -> dict[str, Any]:
    with database.reading() as session:
        city_of(session, city)
        balances = trial_balance(session, city)
        faults = check_ledger(session)
    return {
        "balances": [
            {"account": balance.account, "kind": balance.kind, "amount_minor": balance.amount_minor}
            for balance in balances
        ],
        "imbalance_minor": sum(balance.amount_minor for balance in balances),
        "faults": faults,
    }


@router.get("/ledger/turnovers")
def read_turnovers(
    _caller: Annotated[Caller, Depends(require("ledger.read"))],
    database: DatabaseOf,
    city: str,
    first_day: Day,
    last_day: Day,
) -> dict[str, Any]:
    """Opening, turnover and closing of every account over service days, both included."""
    if first_day > last_day:
        raise InvalidError(f"{first_day} is after {last_day}", "turn them round")
    with database.reading() as session:
        city_of(session, city)
        rows = turnovers(session, city, first_day, last_day)
    return {"accounts": [asdict(row) | {"closing_minor": row.closing_minor} for row in rows]}
