"""What changed from one version of a closed day to another, in words and money, in three languages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clearing.money import format_minor
from clearing.settlement.booking import commissions, pool_shares
from clearing.settlement.totals import AdjustmentLine, Totals

TEXTS = {
    "rides": {
        "kk": "{carrier}, {medium}: сапар саны {before} → {after} ({change})",
        "ru": "{carrier}, {medium}: поездок было {before}, стало {after} ({change})",
        "en": "{carrier}, {medium}: {before} rides became {after} ({change})",
    },
    "fares": {
        "kk": "{carrier}, {medium}: жолақы {before} ₸ → {after} ₸ ({change} ₸)",
        "ru": "{carrier}, {medium}: плата за проезд была {before} ₸, стала {after} ₸ ({change} ₸)",
        "en": "{carrier}, {medium}: fares of {before} ₸ became {after} ₸ ({change} ₸)",
    },
    "corrections": {
        "kk": "{carrier}, {medium}: жолаушыларға қайтарылатыны {before} ₸ → {after} ₸ ({change} ₸)",
        "ru": "{carrier}, {medium}: к возврату пассажирам было {before} ₸, стало {after} ₸ ({change} ₸)",
        "en": "{carrier}, {medium}: owed back to riders, {before} ₸ became {after} ₸ ({change} ₸)",
    },
    "refused": {
        "kk": "Валидатор бас тартқан: {before} → {after} ({change})",
        "ru": "Отказов валидаторов было {before}, стало {after} ({change})",
        "en": "Refusals by validators: {before} became {after} ({change})",
    },
    "unknown": {
        "kk": "Немен аяқталғаны белгісіз төлемдер: {before} → {after} ({change})",
        "ru": "Списаний с неизвестным исходом было {before}, стало {after} ({change})",
        "en": "Debits whose end nobody knows: {before} became {after} ({change})",
    },
    "unknown_minor": {
        "kk": "Олардың құны: {before} ₸ → {after} ₸ ({change} ₸)",
        "ru": "На сумму: было {before} ₸, стало {after} ₸ ({change} ₸)",
        "en": "What these would be worth: {before} ₸ became {after} ₸ ({change} ₸)",
    },
    "exceptions": {
        "kk": "Қаралатын жазбалар: {before} → {after} ({change})",
        "ru": "Записей для разбора было {before}, стало {after} ({change})",
        "en": "Records to look at: {before} became {after} ({change})",
    },
    "top_ups": {
        "kk": "{party}: сатылған толтырулар {before} ₸ → {after} ₸ ({change} ₸)",
        "ru": "{party}: пополнений продано на {before} ₸, стало на {after} ₸ ({change} ₸)",
        "en": "{party}: top-ups sold for {before} ₸ became {after} ₸ ({change} ₸)",
    },
    "applied": {
        "kk": "Карталарға жазылған толтырулар: {before} ₸ → {after} ₸ ({change} ₸)",
        "ru": "Пополнений записано на карты на {before} ₸, стало на {after} ₸ ({change} ₸)",
        "en": "Top-ups loaded onto cards: {before} ₸ became {after} ₸ ({change} ₸)",
    },
    "subsidies": {
        "kk": "{payer} {carrier} үшін төлейді: {before} ₸ → {after} ₸ ({change} ₸)",
        "ru": "{payer} платит за {carrier}: было {before} ₸, стало {after} ₸ ({change} ₸)",
        "en": "{payer} pays for {carrier}: {before} ₸ became {after} ₸ ({change} ₸)",
    },
    "commissions": {
        "kk": "{operator} комиссиясы, {carrier}: {before} ₸ → {after} ₸ ({change} ₸)",
        "ru": "Комиссия {operator} с {carrier}: была {before} ₸, стала {after} ₸ ({change} ₸)",
        "en": "Commission of {operator} from {carrier}: {before} ₸ became {after} ₸ ({change} ₸)",
    },
    "shared": {
        "kk": "{carrier} ортақ үлестен алатыны: {before} ₸ → {after} ₸ ({change} ₸)",
        "ru": "{carrier} из общей выручки: было {before} ₸, стало {after} ₸ ({change} ₸)",
        "en": "{carrier} out of shared fares: {before} ₸ became {after} ₸ ({change} ₸)",
    },
    "adjustment": {
        "kk": "Түзету {reference}: {reason}; {after} ₸",
        "ru": "Корректировка {reference}: {reason}; {after} ₸",
        "en": "Adjustment {reference}: {reason}; {after} ₸",
    },
}


@dataclass(frozen=True)
class Change:
    """One thing that differs.

    Attributes:
        what: key of `TEXTS`.
        of: what it concerns, by the names in the texts: codes of carriers, media and parties.
        before, after: tiyn where `is_money`, otherwise a number of things.
    """

    what: str
    before: int
    after: int
    is_money: bool
    of: Mapping[str, str] = field(default_factory=dict)

    @property
    def change(self) -> int:
        return self.after - self.before

    def in_words(self, language: str = "en") -> str:
        show = format_minor if self.is_money else str
        sign = "+" if self.change > 0 else ""
        values = {"before": show(self.before), "after": show(self.after), "change": sign + show(self.change)}
        return TEXTS[self.what][language].format(**values, **self.of)


def changes_between(before: Totals, after: Totals) -> list[Change]:
    """Everything that differs between two versions of one day, in a fixed order."""
    old, new = _quantities(before), _quantities(after)
    changes = []
    for key in [*new, *(key for key in old if key not in new)]:
        was, is_now = old.get(key, 0), new.get(key, 0)
        if was != is_now:
            what, is_money, of = key
            changes.append(Change(what, was, is_now, is_money, dict(of)))
    changes += [_adjustment(line) for line in after.adjustments if line not in before.adjustments]
    order = {what: place for place, what in enumerate(TEXTS)}
    return sorted(changes, key=lambda change: (order[change.what], sorted(change.of.items())))


def _adjustment(line: AdjustmentLine) -> Change:
    moved_minor = sum(amount for _, amount in line.legs if amount > 0)
    return Change("adjustment", 0, moved_minor, True, {"reference": line.reference, "reason": line.reason})


_Key = tuple[str, bool, tuple[tuple[str, str], ...]]


def _quantities(totals: Totals) -> Counter[_Key]:
    """Every figure of a day by what it is and whose."""
    found: Counter[_Key] = Counter()
    for what, is_money, amount, of in _figures(totals):
        found[what, is_money, tuple(sorted(of.items()))] += amount
    return found


def _figures(totals: Totals) -> Iterator[tuple[str, bool, int, dict[str, str]]]:
    for line in totals.lines:
        ride = {"carrier": line.carrier, "medium": line.medium}
        yield "rides", False, line.trips, ride
        yield "fares", True, line.charged_minor, ride
        yield "corrections", True, line.correction_minor, ride
    yield "refused", False, totals.refused, {}
    yield "unknown", False, totals.unknown, {}
    yield "unknown_minor", True, totals.unknown_minor, {}
    yield "exceptions", False, totals.exceptions, {}
    for agent in totals.agents:
        yield "top_ups", True, agent.sold_minor, {"party": agent.party}
    yield "applied", True, totals.applied_minor, {}
    for subsidy in totals.subsidies:
        yield "subsidies", True, subsidy.subsidy_minor, {"payer": subsidy.payer, "carrier": subsidy.carrier}
    for (carrier, operator), kept_minor in commissions(totals).items():
        yield "commissions", True, kept_minor, {"operator": operator, "carrier": carrier}
    for carrier, gain_minor in [*totals.transfers, *pool_shares(totals).items()]:
        yield "shared", True, gain_minor, {"carrier": carrier}
