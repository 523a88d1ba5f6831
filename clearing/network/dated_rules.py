"""The rules of the dated tariffs in the table: how a package stores them, and which hold on a service day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from clearing.network.models import TariffRulesRow
from clearing.network.service import city_of, rules_of
from clearing.network.tariff_rules import TariffRules, read_tariff_rules, with_ride_rules

DatedTable = tuple[str, str | None, Mapping[str, Any]]


def store_tariff_rules(session: Session, city: str, dated: Iterable[DatedTable]) -> None:
    """Replace a city's rules by (first day, last day, table as a package writes it)."""
    session.execute(delete(TariffRulesRow).where(TariffRulesRow.city == city))
    session.add_all(
        TariffRulesRow(city=city, valid_from=first, valid_until=last, rules_json=_text(table))
        for first, last, table in dated
        if table
    )
    session.flush()


def _text(table: Mapping[str, Any]) -> str:
    # Days may be written as TOML dates; they are read back as text.
    return json.dumps(table, default=str, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def dated_tables(session: Session, city: str) -> dict[str, dict[str, Any]]:
    """The rules of a city's tariffs as its package writes them, by first day."""
    rows = session.scalars(select(TariffRulesRow).where(TariffRulesRow.city == city))
    return {row.valid_from: json.loads(row.rules_json) for row in rows}


def rules_on(session: Session, city: str, day: str) -> TariffRules:
    """The rules of a service day: those of its tariff, completed by what the city says of all its tariffs."""
    text = session.scalar(
        select(TariffRulesRow.rules_json)
        .where(TariffRulesRow.city == city, TariffRulesRow.valid_from <= day)
        .where(or_(TariffRulesRow.valid_until.is_(None), TariffRulesRow.valid_until >= day))
        .order_by(TariffRulesRow.valid_from.desc())
        .limit(1)
    )
    return with_ride_rules(read_tariff_rules(json.loads(text or "{}")), rules_of(city_of(session, city)))
