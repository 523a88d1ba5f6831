"""Contradictions in who takes part in a city's money: a ride that nobody clears, a concession that two pay for. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from clearing.network.consistency import CATEGORIES, PARTIES, Rule, repeated
from clearing.network.faults import Found
from clearing.network.package_files import PackageFiles, prices_of
from clearing.network.parties import PaidConcession, Party, Payee
from clearing.network.toml_lines import Path

_BY_ACQUIRER = ("bank_card", "phone_nfc")
_BY_QR_PROVIDER = ("qr", "qr_screen")


def _roles(files: PackageFiles) -> Iterator[tuple[Path, Party]]:
    """Every party with its path in the file."""
    parties = files.parties
    if parties.acquirer is not None:
        yield ("acquirer",), parties.acquirer
    for name, of_role in (
        ("operator", parties.operators),
        ("qr_provider", parties.qr_providers),
        ("sms_aggregator", parties.sms_aggregators),
        ("agent", parties.agents),
        ("payer", parties.payers),
    ):
        for n, party in enumerate(of_role):
            yield (name, n), party


def twice_among_parties(files: PackageFiles) -> Iterator[Found]:
    """A party's code is its name in accounts and tokens: no two share one; no carrier is paid to two accounts."""
    yield from repeated(PARTIES, (((*path, "code"), party.code) for path, party in _roles(files)), "party")
    carriers = ((("carrier", n, "code"), carrier.code) for n, carrier in enumerate(files.parties.carriers))
    yield from repeated(PARTIES, carriers, "carrier")
    banks = ((("bank", n, "bic"), bank.bic) for n, bank in enumerate(files.parties.banks))
    yield from repeated(PARTIES, banks, "bank")


def unpaid_carriers(files: PackageFiles) -> Iterator[Found]:
    """Each carrier has an account, and each account a carrier."""
    known = {carrier.code for carrier in files.network.carriers}
    paid = {carrier.code for carrier in files.parties.carriers}
    for n, carrier in enumerate(files.parties.carriers):
        if carrier.code not in known:
            what = f"carrier {carrier.code} is not in network.toml"
            yield Found(PARTIES, ("carrier", n, "code"), what, f"write one of {', '.join(sorted(known))}")
    for code in sorted(known - paid):
        yield Found(
            PARTIES,
            (),
            f"carrier {code} has no account",
            f'write a [[carrier]] with code = "{code}", bin, iban and bic',
        )


def unknown_banks(files: PackageFiles) -> Iterator[Found]:
    """An account is at a bank that the file names."""
    known = {bank.bic for bank in files.parties.banks}
    accounts: list[tuple[Path, Payee]] = [
        *_roles(files),
        *((("carrier", n), carrier) for n, carrier in enumerate(files.parties.carriers)),
    ]
    for path, party in accounts:
        if (party.iban is None) != (party.bic is None):
            what = f"{party.code} has {'no iban' if party.iban is None else 'no bic'}"
            yield Found(PARTIES, path, what, "an account has both")
        if party.bic is not None and party.bic not in known:
            what = f"{party.code}: there is no bank {party.bic}"
            yield Found(PARTIES, (*path, "bic"), what, "write a [[bank]] with this bic, or correct it")


def operators_of_nothing(files: PackageFiles) -> Iterator[Found]:
    """An operator names carriers and routes that exist; there is one at least."""
    operators = files.parties.operators
    carriers = {carrier.code for carrier in files.network.carriers}
    lines = {route.number for route in files.network.routes}
    for n, operator in enumerate(operators):
        for code in operator.carriers:
            if code not in carriers:
                what = f"operator {operator.code}: no carrier {code}"
                yield Found(PARTIES, ("operator", n, "carriers"), what, f"write one of {', '.join(sorted(carriers))}")
        for line in operator.routes:
            if line not in lines:
                what = f"operator {operator.code}: no route {line}"
                yield Found(PARTIES, ("operator", n, "routes"), what, "write a number of network.toml")
    if not operators:
        yield Found(PARTIES, (), "there is no fare operator", "write an [[operator]]")


def uncleared_rides(files: PackageFiles) -> Iterator[Found]:
    """Each ride is cleared by one fare operator: not by two, and by somebody."""
    operators = files.parties.operators
    media = sorted({medium for tariff in files.tariffs.tariffs for medium, _ in prices_of(tariff)})
    rides = [(route.carrier, medium, route.number) for route in files.network.routes for medium in media if operators]
    faults: dict[str, Found] = {}
    for ride in rides:
        by = [n for n, operator in enumerate(operators) if operator.clears(*ride)]
        where = f"rides of {ride[0]} by {ride[1]} on route {ride[2]}"
        if not by:
            remedy = "add carrier, medium or route to an [[operator]]"
            faults.setdefault("nobody", Found(PARTIES, (), f"{where} are cleared by nobody", remedy))
        elif len(by) > 1:
            names = " and ".join(operators[n].code for n in by)
            what, remedy = f"{where} are cleared by {names}", "give each its own carriers, media or routes"
            faults.setdefault(names, Found(PARTIES, ("operator", by[1]), what, remedy))
    yield from faults.values()


def missing_counterparties(files: PackageFiles) -> Iterator[Found]:
    """Media of a tariff without an end have somebody who collects the money, once."""
    parties = files.parties
    current = [tariff for tariff in files.tariffs.tariffs if tariff.valid_until is None]
    taken = sorted({medium for tariff in current for medium, _ in prices_of(tariff)})
    by_acquirer = () if parties.acquirer is None else parties.acquirer.media
    by_qr = {medium for provider in parties.qr_providers for medium in provider.media}
    for medium in taken:
        if medium in _BY_ACQUIRER and medium not in by_acquirer:
            remedy = "write [acquirer] with this medium, or take the medium out of the tariff"
            yield Found(PARTIES, (), f"{medium} is accepted, and no acquirer collects it", remedy)
        elif medium in _BY_QR_PROVIDER and medium not in by_qr:
            remedy = "write a [[qr_provider]] with this medium, or take the medium out of the tariff"
            yield Found(PARTIES, (), f"{medium} is accepted, and no QR provider collects it", remedy)
        elif medium == "sms" and not parties.sms_aggregators:
            remedy = "write an [[sms_aggregator]], or take sms out of the tariff"
            yield Found(PARTIES, (), "sms is accepted, and no aggregator collects it", remedy)
    numbers = (
        (("sms_aggregator", n, "short_number"), aggregator.short_number)
        for n, aggregator in enumerate(parties.sms_aggregators)
    )
    yield from repeated(PARTIES, numbers, "short number")


def wrong_concessions(files: PackageFiles) -> Iterator[Found]:
    """A concession exists, and one authority at a time pays for it."""
    known = {*CATEGORIES, *map(int, files.tariffs.categories)}
    paid = [
        (("payer", n, "concessions", m), payer.code, concession)
        for n, payer in enumerate(files.parties.payers)
        for m, concession in enumerate(payer.concessions)
    ]
    for path, code, concession in paid:
        if concession.category not in known:
            what = f"payer {code}: there is no rider category {concession.category}"
            yield Found(PARTIES, (*path, "category"), what, "name it in [categories] of tariffs.toml, or correct it")
        if _first(concession) > _last(concession):
            yield Found(PARTIES, path, f"payer {code}: a concession ends before it begins", "correct valid_until")
    for (_, earlier, one), (path, later, other) in combinations(paid, 2):
        together = one.category == other.category and _first(one) <= _last(other) and _first(other) <= _last(one)
        if together:
            what = f"{earlier} and {later} both pay for rider category {one.category} on the same days"
            yield Found(PARTIES, path, what, "give the concessions dates that do not meet")


def _first(concession: PaidConcession) -> str:
    return concession.valid_from or "0000-01-01"


def _last(concession: PaidConcession) -> str:
    return concession.valid_until or "9999-12-31"


def wrong_pools(files: PackageFiles) -> Iterator[Found]:
    """A pool has carriers that exist and are in no other; weights are of its members, and not all zero."""
    known = {carrier.code for carrier in files.network.carriers}
    taken: dict[str, str] = {}
    for n, pool in enumerate(files.parties.shares.pools):
        path: Path = ("shares", "pools", n)
        for code in pool.carriers:
            if code not in known:
                yield Found(
                    PARTIES, path, f"pool {pool.code}: no carrier {code}", f"write one of {', '.join(sorted(known))}"
                )
            elif taken.setdefault(code, pool.code) != pool.code:
                what = f"carrier {code} is in pools {taken[code]} and {pool.code}"
                yield Found(PARTIES, path, what, "a carrier's fares go into one pool")
        by_weights = pool.by == "weights"
        if by_weights and (set(pool.weights) != set(pool.carriers) or not any(pool.weights.values())):
            what = f"pool {pool.code}: weights are not those of its carriers, or all zero"
            yield Found(PARTIES, path, what, "give each of its carriers a weight")
        if not by_weights and pool.weights:
            yield Found(
                PARTIES,
                path,
                f"pool {pool.code} shares by rides and has weights",
                'write by = "weights", or take them out',
            )


def unpaid_concessions(files: PackageFiles) -> Iterator[Found]:
    """Concessions for which no authority pays: carriers bear them."""
    current = [tariff for tariff in files.tariffs.tariffs if tariff.valid_until is None]
    priced = {category for tariff in current for _, category in prices_of(tariff) if category != 1}
    paid = {concession.category for payer in files.parties.payers for concession in payer.concessions}
    for category in sorted(priced - paid):
        name = CATEGORIES.get(category, "named in [categories]")
        what = f"nobody pays for rider category {category} ({name}): carriers bear the concession"
        yield Found(PARTIES, (), what, "add it to the concessions of a [[payer]], unless this is meant")


def operators_without_account(files: PackageFiles) -> Iterator[Found]:
    """An operator's commission stays with whoever holds the money."""
    for n, operator in enumerate(files.parties.operators):
        if operator.iban is None:
            what = f"operator {operator.code} has no account: its commission cannot be paid out"
            yield Found(PARTIES, ("operator", n), what, "write iban and bic")


PARTY_CONTRADICTIONS: tuple[Rule, ...] = (
    twice_among_parties,
    unpaid_carriers,
    unknown_banks,
    operators_of_nothing,
    uncleared_rides,
    missing_counterparties,
    wrong_concessions,
    wrong_pools,
)
PARTY_ODDITIES: tuple[Rule, ...] = (unpaid_concessions, operators_without_account)
