"""What a bank's statement says of parties: money that they have passed on, and what came from nobody that we know.

A credit from a party's account, as its IBAN in the city package says, is a remittance of that party and is booked as one. For
which service day it is paid is believed when its text names exactly one ISO date; else it pays the party's oldest debt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.channels.remittances import RemittanceTold, take_remittance
from clearing.channels.standing import AGENT, CARRIER, QR_PROVIDER, SMS_AGGREGATOR
from clearing.network.parties import CarrierAccount, Parties, Party
from clearing.network.service import parties_of
from clearing.reconciliation.models import StatementLine
from clearing.statements.statement import Line, Statement

ACQUIRER = "acquirer"
_DATE = re.compile(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}\b")


def accounts_of(parties: Parties) -> dict[str, tuple[str, str]]:
    """Kind and code of every party by its IBAN; one that two parties share says nothing."""
    members: list[tuple[str, Party | CarrierAccount]] = [(CARRIER, member) for member in parties.carriers]
    members += [(AGENT, member) for member in parties.agents]
    members += [(QR_PROVIDER, member) for member in parties.qr_providers]
    members += [(SMS_AGGREGATOR, member) for member in parties.sms_aggregators]
    if parties.acquirer is not None:
        members.append((ACQUIRER, parties.acquirer))
    ibans = [member.iban for _, member in members if member.iban]
    return {
        member.iban: (kind, member.code) for kind, member in members if member.iban and ibans.count(member.iban) == 1
    }


def party_of(accounts: Mapping[str, tuple[str, str]], account: str) -> tuple[str, str] | None:
    """Whose account it is."""
    return accounts.get(account.replace(" ", "").upper())


def is_remittance(accounts: Mapping[str, tuple[str, str]], account: str, amount_minor: int) -> bool:
    """Whether a line is a party's money; the acquirer's is booked by what its own statement says."""
    party = party_of(accounts, account)
    return amount_minor > 0 and party is not None and party[0] != ACQUIRER


def record_remittances(session: Session, caller: Caller, now_ms: int, city: str, statement: Statement) -> int:
    """Record and book what parties have passed on; returns of how many the statement tells."""
    accounts = accounts_of(parties_of(session, city))
    recorded = 0
    for line in statement.lines:
        party = party_of(accounts, line.account)
        if party is None or not is_remittance(accounts, line.account, line.amount_minor):
            continue
        take_remittance(
            session,
            caller,
            now_ms,
            RemittanceTold(
                city=city,
                party_kind=party[0],
                party=party[1],
                reference=line.own_reference or line.reference or f"{statement.sha256[:16]}-{line.number}",
                amount_minor=line.amount_minor,
                banked_day=line.day,
                service_day=day_in(line, line.day),
            ),
        )
        recorded += 1
    return recorded


def day_in(line: Line | StatementLine, not_after: str) -> str | None:
    """The one service day that the text or reference of a payment names; absent where it names none, or several."""
    days = set(_DATE.findall(f"{line.text} {line.reference}"))
    try:
        (day,) = (date.fromisoformat(each).isoformat() for each in days)
    except ValueError:
        return None
    return day if day <= not_after else None
