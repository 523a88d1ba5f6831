"""HTTP of the ledger: the trial balance."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf
from clearing.ledger.checks import check_ledger
from clearing.ledger.service import trial_balance
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
