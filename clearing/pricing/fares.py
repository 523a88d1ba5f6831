"""What a ride costs: the dated tariff by medium and category, held against what the bus charged. Pure.

The rider has the benefit: charged less on the bus (by a rule of the city, or an older fare table) stays so; charged more is
corrected by a refund. An amount that no fare can have (a damaged or stolen validator) is not believed: the tariff counts, and
so no such record can bring a day's sums out of range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clearing.network.package import ADULT, CASH, is_fare
from protocol.tap import (
    PRODUCT_FAULT,
    PRODUCT_FREE_DAY,
    PRODUCT_PASSES,
    PRODUCT_QUOTA,
    PRODUCT_SINGLE,
    PRODUCT_TRANSFER,
)

_REASONS = {
    PRODUCT_TRANSFER: "transfer",
    PRODUCT_QUOTA: "quota",
    PRODUCT_FREE_DAY: "free_day",
    PRODUCT_FAULT: "our_fault",
}

TEXTS = {
    "tariff": {
        "kk": "{day} күнгі тариф: {medium}, {category} санат — {scheduled} ₸",
        "ru": "Тариф на {day}: {medium}, категория {category} — {scheduled} ₸",
        "en": "Tariff of {day}: {medium}, category {category}: {scheduled} ₸",
    },
    "charged_less": {
        "kk": "Автобуста {charged} ₸ алынды, тариф {scheduled} ₸: жолаушы пайдасына сол күйінде қалады",
        "ru": "В автобусе списано {charged} ₸ при тарифе {scheduled} ₸: остаётся в пользу пассажира",
        "en": "Charged {charged} ₸ on the bus, tariff {scheduled} ₸: stays so in the rider's favour",
    },
    "transfer": {
        "kk": "Басқа көліктен ауысып отыру: {charged} ₸ алынды, тариф {scheduled} ₸",
        "ru": "Пересадка: списано {charged} ₸ при тарифе {scheduled} ₸",
        "en": "Transfer: charged {charged} ₸, tariff {scheduled} ₸",
    },
    "quota": {
        "kk": "{category} санатқа күніне берілетін тегін сапар: {charged} ₸, тариф {scheduled} ₸",
        "ru": "Бесплатная поездка из дневной нормы категории {category}: {charged} ₸ при тарифе {scheduled} ₸",
        "en": "A free ride of the day for category {category}: {charged} ₸, tariff {scheduled} ₸",
    },
    "free_day": {
        "kk": "{day} күні жол жүру тегін: {charged} ₸, тариф {scheduled} ₸",
        "ru": "{day} проезд бесплатный: {charged} ₸ при тарифе {scheduled} ₸",
        "en": "Every ride is free on {day}: {charged} ₸, tariff {scheduled} ₸",
    },
    "our_fault": {
        "kk": "Валидатордың ақауы үшін жолаушы төлемейді: {charged} ₸, тариф {scheduled} ₸",
        "ru": "За неисправность валидатора пассажир не платит: {charged} ₸ при тарифе {scheduled} ₸",
        "en": "A fault of the validator is not the rider's: {charged} ₸, tariff {scheduled} ₸",
    },
    "pass": {
        "kk": "Жол жүру билетімен: {charged} ₸ алынды, тариф {scheduled} ₸",
        "ru": "По проездному: списано {charged} ₸ при тарифе {scheduled} ₸",
        "en": "By a pass: charged {charged} ₸, tariff {scheduled} ₸",
    },
    "charged_more": {
        "kk": "Автобуста {charged} ₸ алынды, тариф {scheduled} ₸: айырма қайтарылады",
        "ru": "В автобусе списано {charged} ₸ при тарифе {scheduled} ₸: разница возвращается",
        "en": "Charged {charged} ₸ on the bus, tariff {scheduled} ₸: the difference is refunded",
    },
    "not_in_tariff": {
        "kk": "{day} күнгі тарифте {medium}, {category} санат жоқ: автобуста алынған {charged} ₸ есептеледі",
        "ru": "В тарифе на {day} нет {medium}, категория {category}: учтено списанное в автобусе, {charged} ₸",
        "en": "The tariff of {day} has no {medium}, category {category}: what the bus charged counts, {charged} ₸",
    },
    "implausible": {
        "kk": "Валидатор жазған {charged} ₸ жолақы бола алмайды: тариф есептеледі, {scheduled} ₸",
        "ru": "Записанные валидатором {charged} ₸ не могут быть стоимостью проезда: учтён тариф, {scheduled} ₸",
        "en": "{charged} ₸, as the validator recorded, cannot be a fare: the tariff counts, {scheduled} ₸",
    },
}


@dataclass(frozen=True)
class Price:
    """The price of one ride.

    Attributes:
        scheduled_minor: by the tariff; what the bus charged where the tariff has no such ride.
        charged_minor: what the rider bears.
        correction_minor: taken on the bus beyond that; owed back.
        cash_minor: an adult's cash fare of the day, absent where cash is not taken.
        reason: key of `TEXTS`.
    """

    scheduled_minor: int
    charged_minor: int
    correction_minor: int
    cash_minor: int | None
    reason: str


def price_ride(
    tariff: Mapping[tuple[str, int], int], medium: str, category: int, taken_minor: int, product: int | None = None
) -> Price:
    """Price a ride for which the bus says that `taken_minor` was taken, or is to be.

    `product` is what the bus says it sold (`protocol.tap.PRODUCT_…`); it explains a lower fare and never makes a higher one.
    """
    cash_minor = tariff.get((CASH, ADULT))
    scheduled_minor = tariff.get((medium, category))
    if not is_fare(taken_minor):
        return Price(scheduled_minor or 0, scheduled_minor or 0, 0, cash_minor, "implausible")
    if scheduled_minor is None:
        return Price(taken_minor, taken_minor, 0, cash_minor, "not_in_tariff")
    if taken_minor > scheduled_minor:
        return Price(scheduled_minor, scheduled_minor, taken_minor - scheduled_minor, cash_minor, "charged_more")
    reason = _reason_for_less(product) if taken_minor < scheduled_minor else "tariff"
    return Price(scheduled_minor, taken_minor, 0, cash_minor, reason)


def _reason_for_less(product: int | None) -> str:
    """Why the bus took less than the tariff: by the rule that it says it followed."""
    if product is not None and product >= PRODUCT_PASSES:
        return "pass"
    return _REASONS.get(product or PRODUCT_SINGLE, "charged_less")


def explain(reason: str, language: str, values: Mapping[str, object]) -> str:
    """Say in words why a ride has its price; the values are `day`, `medium`, `category`, `scheduled` and `charged`."""
    return TEXTS[reason][language].format(**values)
