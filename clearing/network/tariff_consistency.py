"""Contradictions within a city's tariffs, and what is odd about them: days with two prices or none, rules of nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from clearing.network.consistency import CATEGORIES, TARIFFS, Rule
from clearing.network.faults import Found
from clearing.network.package_files import ADULT, CASH, Cashless, PackageFiles, TariffTable, prices_of
from clearing.network.tariff_rules import TariffRules, Whom, offline_rules
from clearing.network.toml_lines import Path
from protocol.errors import DocumentError
from protocol.fare_rules import decode_fare_rules


def wrong_dates(files: PackageFiles) -> Iterator[Found]:
    """A tariff ends after it begins, and one tariff holds at a time, since one is sent to the buses."""
    tariffs = list(enumerate(files.tariffs.tariffs))
    for n, tariff in tariffs:
        if tariff.valid_until is not None and tariff.valid_until < tariff.valid_from:
            yield Found(
                TARIFFS,
                ("tariff", n, "valid_until"),
                f"tariff {tariff.valid_from}: ends before it begins",
                "write a last service day that is not before the first",
            )
    begun: list[tuple[int, TariffTable]] = []
    for n, later in sorted(tariffs, key=lambda pair: pair[1].valid_from):
        for _, earlier in begun:
            if earlier.valid_until is None or earlier.valid_until >= later.valid_from:
                yield from _overlap(n, earlier, later)
        begun.append((n, later))


def _overlap(n: int, earlier: TariffTable, later: TariffTable) -> Iterator[Found]:
    twice = sorted(set(prices_of(earlier)) & set(prices_of(later)))
    names = ", ".join(f"{medium} {category}" for medium, category in twice[:3]) or "the same days"
    more = f" and {len(twice) - 3} more" if len(twice) > 3 else ""
    last = date.fromisoformat(later.valid_from) - timedelta(days=1)
    what = f"tariffs {earlier.valid_from} and {later.valid_from} both price {names}{more}"
    yield Found(TARIFFS, ("tariff", n, "valid_from"), what, f"end the earlier one: valid_until = {last.isoformat()}")


def wrong_media(files: PackageFiles) -> Iterator[Found]:
    """Each medium stands in one table of a tariff, cash in its own; concessions are proved by media that are taken."""
    for n, tariff in enumerate(files.tariffs.tariffs):
        seen: set[str] = set()
        tables: list[tuple[Path, Cashless | None]] = [(("cashless",), tariff.cashless)]
        tables += [(("special", m), each) for m, each in enumerate(tariff.special)]
        for path, table in tables:
            place: Path = ("tariff", n, *path)
            for medium in table.media if table else ():
                if medium == CASH:
                    yield Found(TARIFFS, (*place, "media"), "cash is among cashless media", "price it in [tariff.cash]")
                elif medium in seen:
                    what = f"tariff {tariff.valid_from}: {medium} has two prices"
                    yield Found(TARIFFS, (*place, "media"), what, "name each medium in one table")
                seen.add(medium)
            for medium in set(table.concession_media) - set(table.media) if table else ():
                what = f"tariff {tariff.valid_from}: concession_media {medium} is not among its media"
                yield Found(TARIFFS, (*place, "concession_media"), what, "add it to media, or take it out")


def wrong_prices(files: PackageFiles) -> Iterator[Found]:
    """Each tariff prices an adult by each of its media, and categories that have a name."""
    known = {*CATEGORIES, *map(int, files.tariffs.categories)}
    for n, tariff in enumerate(files.tariffs.tariffs):
        place: Path = ("tariff", n)
        prices = prices_of(tariff)
        name = f"tariff {tariff.valid_from}"
        if not prices:
            yield Found(TARIFFS, place, f"{name} has no price", "write [tariff.cashless] or [tariff.cash]")
        adults = {medium for medium, category in prices if category == ADULT}
        for medium in sorted({medium for medium, _ in prices} - adults):
            yield Found(TARIFFS, place, f"{name}: {medium} has no price for adults", "price category 1")
        for category in sorted({category for _, category in prices} - known):
            what = f"{name}: rider category {category} has no name"
            remedy = f'name it in [categories]: {category} = {{ kk = "…", ru = "…", en = "…" }}'
            yield Found(TARIFFS, place, what, remedy)


def rules_of_nothing(files: PackageFiles) -> Iterator[Found]:
    """Rules speak of media and categories that have a price."""
    taken = {medium for tariff in files.tariffs.tariffs for medium, _ in prices_of(tariff)}
    for name in files.ride_rules.allow_listed:
        if name not in taken:
            yield Found(
                TARIFFS, ("rules", "allow_listed"), f"rules: allow_listed {name}: no tariff takes it", "take it out"
            )
    for n, (tariff, rules) in enumerate(zip(files.tariffs.tariffs, files.tariff_rules, strict=True)):
        prices = prices_of(tariff)
        media, categories = {medium for medium, _ in prices}, {category for _, category in prices}
        for name, medium in sorted({each for each in _media_named(rules) if each[1] not in media}):
            what = f"tariff {tariff.valid_from}: {name} names {medium}, which this tariff does not take"
            yield Found(TARIFFS, ("tariff", n, "rules", name), what, "price it, or take it out")
        for name, category in sorted({each for each in _categories_named(rules) if each[1] not in categories}):
            what = (
                f"tariff {tariff.valid_from}: {name} names rider category {category}, which this tariff does not price"
            )
            yield Found(TARIFFS, ("tariff", n, "rules", name), what, "price it, or take it out")


def _narrowed(rules: TariffRules) -> list[tuple[str, Whom]]:
    """Rules that hold on some rides only, and on which."""
    return [
        *(("cap", cap.whom) for cap in rules.caps),
        *(("pass", each.whom) for each in rules.passes.values()),
        *([("transfer", rules.transfer.whom)] if rules.transfer else ()),
        *([("group", rules.group.whom)] if rules.group else ()),
    ]


def _media_named(rules: TariffRules) -> list[tuple[str, str]]:
    named = [(name, medium) for name, whom in _narrowed(rules) for medium in whom.media]
    return [*named, *(("tap_off", medium) for medium in (rules.tap_off.media if rules.tap_off else ()))]


def _categories_named(rules: TariffRules) -> list[tuple[str, int]]:
    named = [(name, category) for name, whom in _narrowed(rules) for category in whom.categories]
    by_category = {"quotas": rules.quotas, "ages": rules.ages, "agreed_minor": rules.agreed_minor}
    return [*named, *((name, category) for name, table in by_category.items() for category in table)]


def zones_of_nothing(files: PackageFiles) -> Iterator[Found]:
    """Zones speak of stops and lines that exist."""
    stops = {stop.number for stop in files.network.stops}
    lines = {route.number for route in files.network.routes}
    for n, rules in enumerate(files.tariff_rules):
        zones = rules.zones
        missing = [] if zones is None else [("stop", each) for each in sorted(set(zones.stops) - stops)]
        missing += [] if zones is None else [("route", each) for each in sorted(zones.lines - lines)]
        for kind, number in missing:
            what = f"zones: there is no {kind} {number}"
            yield Found(TARIFFS, ("tariff", n, "rules", "zones"), what, f"write a [[{kind}]] of it, or take it out")


def rules_that_no_bus_reads(files: PackageFiles) -> Iterator[Found]:
    """What validators are told of a tariff's rules is within the bounds of a fare table."""
    for n, rules in enumerate(files.tariff_rules):
        told = offline_rules(rules, files.ride_rules).rules.encode()
        try:
            if told:
                decode_fare_rules(told)
        except DocumentError as error:
            what = f"rules cannot be told to the buses: {error}"
            yield Found(TARIFFS, ("tariff", n, "rules"), what, "keep to the bounds of protocol/SPEC.md, fare rules")


def gaps(files: PackageFiles) -> Iterator[Found]:
    """Days between two tariffs on which no ride has a price."""
    covered: str | None = None
    for n, tariff in sorted(enumerate(files.tariffs.tariffs), key=lambda pair: pair[1].valid_from):
        if covered is not None and covered < tariff.valid_from:
            first = date.fromisoformat(covered) + timedelta(days=1)
            last = date.fromisoformat(tariff.valid_from) - timedelta(days=1)
            if first <= last:
                yield Found(
                    TARIFFS,
                    ("tariff", n, "valid_from"),
                    f"no tariff from {first.isoformat()} to {last.isoformat()}: rides then have no price",
                    "write the tariff of these days, or correct the dates around them",
                )
        covered = max(covered or "", tariff.valid_until or "9999-12-31")


def odd_prices(files: PackageFiles) -> Iterator[Found]:
    """Cash below the cashless fare, and a concession above an adult's."""
    for n, tariff in enumerate(files.tariffs.tariffs):
        prices = prices_of(tariff)
        cheapest = min(
            (fare for (medium, category), fare in prices.items() if category == ADULT and medium != CASH), default=0
        )
        if prices.get((CASH, ADULT), cheapest) < cheapest:
            what = f"tariff {tariff.valid_from}: cash costs less than every other medium"
            yield Found(TARIFFS, ("tariff", n, "cash"), what, "see that the two were not mixed up")
        dearer = sorted(
            {category for (medium, category), fare in prices.items() if fare > prices.get((medium, ADULT), fare)}
        )
        for category in dearer:
            what = f"tariff {tariff.valid_from}: rider category {category} pays more than an adult"
            yield Found(TARIFFS, ("tariff", n), what, "see that this is meant")


def said_twice(files: PackageFiles) -> Iterator[Found]:
    """What `[rules]` says of all tariffs and a tariff says otherwise: the tariff's word counts."""
    city = files.ride_rules.rules
    for n, rules in enumerate(files.tariff_rules):
        both = (
            ("transfer", rules.transfer is not None and city.transfer_s > 0),
            ("quotas", bool(rules.quotas and city.quotas)),
            ("free_days", bool(rules.free_days and city.free_days)),
        )
        for name, is_said_twice in both:
            if is_said_twice:
                what = f"{name} stands in [rules] and in this tariff, whose word counts"
                yield Found(TARIFFS, ("tariff", n, "rules", name), what, "say it in one place")


TARIFF_CONTRADICTIONS: tuple[Rule, ...] = (
    wrong_dates,
    wrong_media,
    wrong_prices,
    rules_of_nothing,
    zones_of_nothing,
    rules_that_no_bus_reads,
)
TARIFF_ODDITIES: tuple[Rule, ...] = (gaps, odd_prices, said_twice)
