"""What a party is told of some service days: its accounts in the books, every entry on them, and what they follow from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.endpoint import InvalidError, NotFoundError
from clearing.ledger.models import Account
from clearing.ledger.service import Turnover, entries_of_accounts, turnovers
from clearing.network.parties import Parties
from clearing.network.service import city_of, list_carriers, parties_of
from clearing.settlement.service import newest_totals
from clearing.settlement.totals import Totals

DAYS_MAX = 366
RIDES, CLAIM, TOP_UPS = "rides", "claim", "top_ups"


@dataclass(frozen=True)
class Movement:
    """What one entry does on one account of the party.

    Attributes:
        entry_key: says what it is; `subject` is the part that people read.
    """

    day: str
    account: str
    entry_key: str
    amount_minor: int


@dataclass(frozen=True)
class Detail:
    """A sum that the accounts follow from.

    Attributes:
        kind: `rides` (of a carrier, or by a counterparty's medium), `claim` (for concessions), `top_ups`.
        carrier, medium, category: what it is of; empty and 0 where it is of none.
    """

    kind: str
    carrier: str
    medium: str
    category: int
    count: int
    amount_minor: int


@dataclass(frozen=True)
class Statement:
    """A party's statement.

    Attributes:
        names: of the party by language; `city_names` likewise.
        bin: absent where the package has none.
        accounts: opening, turnover and closing of each of its accounts; debit positive.
        movements: every entry on them in these days, oldest first; they explain the turnovers to the tiyn.
        details: rides, claims and top-ups by what they are of, from the newest closes.
        versions: of the closes of these days.
        carrier_names: by code and language.
    """

    city: str
    party: str
    names: dict[str, str]
    city_names: dict[str, str]
    bin: str | None
    currency: str
    first_day: str
    last_day: str
    accounts: tuple[Turnover, ...]
    movements: tuple[Movement, ...]
    details: tuple[Detail, ...]
    versions: tuple[tuple[str, int], ...]
    carrier_names: dict[str, dict[str, str]]


def statement_of(session: Session, city: str, party: str, first_day: str, last_day: str) -> Statement:
    """The statement of a carrier, a counterparty, a payer of concessions or a fare operator over service days, both included.

    Raises:
        NotFoundError: the city has no such party.
        InvalidError: the days are turned round, or too many.
    """
    if not first_day <= last_day or date.fromisoformat(last_day) - date.fromisoformat(first_day) >= timedelta(DAYS_MAX):
        raise InvalidError(f"{first_day} to {last_day} is no period", f"name two days, at most {DAYS_MAX} apart")
    row, parties = city_of(session, city), parties_of(session, city)
    carriers = {carrier.code: json.loads(carrier.names_json) for carrier in list_carriers(session, city)}
    known = _known(parties, carriers)
    if party not in known:
        raise NotFoundError(f"{city} has no party {party}", f"there are: {', '.join(sorted(known))}")
    names, number = known[party]
    codes = _accounts_of(session, city, party)
    closes = newest_totals(session, city, first_day, last_day)
    return Statement(
        city=city,
        party=party,
        names=names,
        city_names=json.loads(row.names_json),
        bin=number,
        currency=row.currency,
        first_day=first_day,
        last_day=last_day,
        accounts=tuple(turnovers(session, city, first_day, last_day, codes)),
        movements=tuple(_movements(session, codes, first_day, last_day)),
        details=tuple(_details(party, [totals for _, _, totals in closes])),
        versions=tuple((day, version) for day, version, _ in closes),
        carrier_names=carriers,
    )


def parties_with_statements(session: Session, city: str) -> dict[str, dict[str, str]]:
    """Names by language of everybody who can be given a statement, by code."""
    carriers = {carrier.code: json.loads(carrier.names_json) for carrier in list_carriers(session, city)}
    known = _known(parties_of(session, city), carriers)
    return {code: known[code][0] for code in sorted(known)}


def _known(parties: Parties, carriers: dict[str, dict[str, str]]) -> dict[str, tuple[dict[str, str], str | None]]:
    """Names and BIN of everybody of a city, by code."""
    others = [*parties.operators, *parties.qr_providers, *parties.sms_aggregators, *parties.agents, *parties.payers]
    if parties.acquirer is not None:
        others.append(parties.acquirer)
    known: dict[str, tuple[dict[str, str], str | None]] = {
        party.code: (party.names.model_dump(), party.bin) for party in others
    }
    for code, names in carriers.items():
        account = parties.carrier(code)
        known[code] = (names, None if account is None else account.bin)
    return known


def _accounts_of(session: Session, city: str, party: str) -> list[str]:
    """The accounts that were ever posted to and are the party's."""
    codes = session.scalars(select(Account.code).where(Account.code.endswith(f":{party}", autoescape=True)))
    return sorted(code for code in codes if code.split(":")[2] == city and code.count(":") > 2)


def _movements(session: Session, codes: Sequence[str], first_day: str, last_day: str) -> Iterable[Movement]:
    for entry in entries_of_accounts(session, codes, first_day, last_day):
        for posting in entry.postings:
            if posting.account in codes:
                yield Movement(entry.service_day, posting.account, entry.entry_key, posting.amount_minor)


def _details(party: str, closes: Iterable[Totals]) -> list[Detail]:
    counts: Counter[tuple[str, str, str, int]] = Counter()
    amounts: Counter[tuple[str, str, str, int]] = Counter()
    for totals in closes:
        for kind, carrier, medium, category, count, amount_minor in _sums(party, totals):
            counts[kind, carrier, medium, category] += count
            amounts[kind, carrier, medium, category] += amount_minor
    return [Detail(*what, counts[what], amounts[what]) for what in sorted(counts)]


def _sums(party: str, totals: Totals) -> Iterable[tuple[str, str, str, int, int, int]]:
    for line in totals.lines:
        if party in {line.carrier, line.party, line.operator}:
            yield RIDES, line.carrier, line.medium, 0, line.trips, line.charged_minor
    for subsidy in totals.subsidies:
        if party in {subsidy.carrier, subsidy.payer}:
            yield CLAIM, subsidy.carrier, "", subsidy.category, subsidy.rides, subsidy.subsidy_minor
    for agent in totals.agents:
        if party == agent.party:
            yield TOP_UPS, "", "", 0, agent.top_ups, agent.sold_minor
