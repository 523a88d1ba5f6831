"""A proposed tariff: a `tariffs.toml` as a city package has it, read and checked as one, and loaded nowhere."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy.orm import Session

from clearing.endpoint import InvalidError
from clearing.network.faults import Fault, Found, listed, shape_faults
from clearing.network.package_files import (
    CityFile,
    NetworkFile,
    PackageFiles,
    RouteTable,
    StopTable,
    TariffsFile,
    prices_of,
)
from clearing.network.parties import Parties
from clearing.network.ride_rules import RideRules, read_rules
from clearing.network.service import list_routes, list_stops
from clearing.network.tariff_consistency import TARIFF_CONTRADICTIONS
from clearing.network.tariff_rules import TariffRules, read_tariff_rules, with_ride_rules
from clearing.network.toml_lines import key_lines, line_of, line_of_error
from clearing.pricing.terms import DayTariff
from protocol.fare_rules import USE_ACCOUNT_ONLY

PROPOSAL_BYTES_MAX = 200_000
_FILE = "tariffs.toml"


@dataclass(frozen=True)
class Proposal:
    """A proposed tariff, or several dated ones.

    Attributes:
        tariffs: (first day, last day, the tariff), oldest first.
        source: of the newest one.
    """

    tariffs: tuple[tuple[str, str | None, DayTariff], ...]
    source: str

    def newest(self) -> DayTariff:
        return self.tariffs[-1][2]

    def on(self, day: str) -> DayTariff | None:
        """What it proposes for a day; nothing where none of its tariffs holds."""
        found = [tariff for first, last, tariff in self.tariffs if first <= day and (last is None or day <= last)]
        return found[-1] if found else None


def read_proposal(session: Session, city: str, text: str) -> Proposal:
    """Read a proposed tariff for a city that is loaded.

    Raises:
        InvalidError: it is no tariff, or contradicts itself or the city's network; every fault is named with its line.
    """
    if len(text.encode()) > PROPOSAL_BYTES_MAX:
        raise InvalidError(f"the tariff is over {PROPOSAL_BYTES_MAX} bytes", "see that it is the right file")
    try:
        file = TariffsFile.model_validate_json(json.dumps(tomllib.loads(text), default=str))
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(error, text)
        raise _refused([Fault(_FILE, line, "is not TOML", "correct this line or the one before")]) from None
    except ValidationError as error:
        raise _refused(_placed(shape_faults(_FILE, error), text)) from None
    ride_rules, rules, found = _rules(file)
    if not found:
        network = NetworkFile.model_construct(
            routes=tuple(RouteTable.model_construct(number=route.number) for route in list_routes(session, city)),
            stops=tuple(StopTable.model_construct(number=stop.number) for stop in list_stops(session, city)),
        )
        files = PackageFiles(CityFile.model_construct(), network, file, Parties(), ride_rules, rules)
        found = [fault for rule in TARIFF_CONTRADICTIONS for fault in rule(files)]
    if found:
        raise _refused(_placed(found, text))
    return _proposal(file, ride_rules, rules)


def _rules(file: TariffsFile) -> tuple[RideRules, tuple[TariffRules, ...], list[Found]]:
    ride_rules, rules = RideRules(), []
    found: list[Found] = []
    try:
        ride_rules = read_rules(file.rules)
    except (ValueError, TypeError, AttributeError) as error:
        found.append(Found(_FILE, ("rules",), str(error), "see clearing/network/ride_rules.py"))
    for number, tariff in enumerate(file.tariffs):
        try:
            rules.append(read_tariff_rules(tariff.rules))
        except ValueError as error:
            remedy = "see clearing/network/tariff_rules.py"
            found += [Found(_FILE, ("tariff", number, "rules"), what, remedy) for what in str(error).split("; ")]
    return ride_rules, tuple(rules), found


def _placed(found: Sequence[Found], text: str) -> list[Fault]:
    lines = key_lines(text)
    return sorted({Fault(each.file, line_of(lines, each.path), each.what, each.remedy) for each in found})


def _refused(faults: Sequence[Fault]) -> InvalidError:
    return InvalidError(
        f"the proposed tariff has {len(faults)} to correct\n{listed(faults)}", "correct them, then try again"
    )


def _proposal(file: TariffsFile, ride_rules: RideRules, rules: Sequence[TariffRules]) -> Proposal:
    account_only = ride_rules.rules.use == USE_ACCOUNT_ONLY
    dated = sorted(
        (
            (
                table.valid_from,
                table.valid_until,
                DayTariff(table.valid_from, prices_of(table), with_ride_rules(each, ride_rules), account_only),
                table.source,
            )
            for table, each in zip(file.tariffs, rules, strict=True)
        ),
        key=lambda each: each[0],
    )
    return Proposal(tuple((first, last, tariff) for first, last, tariff, _ in dated), dated[-1][3])
