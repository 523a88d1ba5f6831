"""Why a ride costs what it costs, in words: for each code of the fold a name and a sentence in three languages. Pure."""

from __future__ import annotations

from collections.abc import Mapping

# By code of `clearing.pricing.fold`.
RULES = (
    "tariff",
    "charged_less",
    "charged_more",
    "not_in_tariff",
    "implausible",
    "our_fault",
    "free_day",
    "same_vehicle",
    "quota",
    "transfer",
    "pass",
    "cap",
)
CODES = {name: code for code, name in enumerate(RULES)}

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
    "same_vehicle": {
        "kk": "Сол көлікте қайта ұсталды, бұл — сол сапар: {charged} ₸, тариф {scheduled} ₸",
        "ru": "Повторно в том же транспорте, это та же поездка: {charged} ₸ при тарифе {scheduled} ₸",
        "en": "Held again on the same vehicle, it is the same ride: {charged} ₸, tariff {scheduled} ₸",
    },
    "cap": {
        "kk": "Төлемнің шегіне жетті: {charged} ₸ алынды, тариф {scheduled} ₸",
        "ru": "Достигнут предел оплаты: списано {charged} ₸ при тарифе {scheduled} ₸",
        "en": "The cap is reached: charged {charged} ₸, tariff {scheduled} ₸",
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

STEPS = {
    "clock_doubt": {
        "kk": "Валидатор уақытты дәл білмеді; мүмкін күндердің арзаны — {day} алынды",
        "ru": "Валидатор не знал точного времени; из возможных дней взят более дешёвый, {day}",
        "en": "The validator was not sure of the time; of the days possible the cheaper one counts, {day}",
    },
    "zones": {
        "kk": "Аймақтар бойынша жолақы: {start} – {end}",
        "ru": "Стоимость по зонам: {start} – {end}",
        "en": "The fare by zones: {start} to {end}",
    },
    "zones_open": {
        "kk": "Түсер жер белгісіз: {start} аймағынан ең жоғары жолақы",
        "ru": "Неизвестно, где пассажир вышел: наибольшая стоимость из зоны {start}",
        "en": "Nobody knows where the rider got off: the highest fare from zone {start}",
    },
    "group": {
        "kk": "Бір төлем құралы {riders} жолаушы үшін төлейді",
        "ru": "Одно средство оплаты за {riders} пассажиров",
        "en": "One medium pays for {riders} riders",
    },
    "transfer": {
        "kk": "{of} төленген сапарынан кейін {after_s} с өтті (шегі {within_s} с): {number}-ауысып отыру",
        "ru": "Прошло {after_s} с после оплаченной поездки {of} (предел {within_s} с): пересадка № {number}",
        "en": "{after_s} s after the paid ride {of} (at most {within_s} s): transfer {number}",
    },
    "same_vehicle": {
        "kk": "{of} сапарынан кейін {after_s} с өтті (шегі {within_s} с)",
        "ru": "Прошло {after_s} с после поездки {of} (предел {within_s} с)",
        "en": "{after_s} s after the ride {of} (at most {within_s} s)",
    },
    "quota": {
        "kk": "Күніне тегін {rides} сапардың {number}-сапары",
        "ru": "Поездка {number} из {rides} бесплатных за день",
        "en": "Ride {number} of {rides} free ones a day",
    },
    "pass": {
        "kk": "Жол жүру билеті «{name}»",
        "ru": "Проездной «{name}»",
        "en": "Pass “{name}”",
    },
    "cap_day": {
        "kk": "Бір күнде {amount} ₸ шегінен {left} ₸ қалған еді",
        "ru": "От дневного предела {amount} ₸ оставалось {left} ₸",
        "en": "Of the day's cap of {amount} ₸ there were {left} ₸ left",
    },
    "cap_week": {
        "kk": "Бір аптада {amount} ₸ шегінен {left} ₸ қалған еді",
        "ru": "От недельного предела {amount} ₸ оставалось {left} ₸",
        "en": "Of the week's cap of {amount} ₸ there were {left} ₸ left",
    },
    "cap_month": {
        "kk": "Бір айда {amount} ₸ шегінен {left} ₸ қалған еді",
        "ru": "От месячного предела {amount} ₸ оставалось {left} ₸",
        "en": "Of the month's cap of {amount} ₸ there were {left} ₸ left",
    },
    "refund": {
        "kk": "Автобуста {taken} ₸ алынды: {correction} ₸ қайтарылады",
        "ru": "В автобусе списано {taken} ₸: {correction} ₸ возвращается",
        "en": "{taken} ₸ were taken on the bus: {correction} ₸ are owed back",
    },
    "shown": {
        "kk": "Автобус {taken} ₸ көрсетті: шоттан ережелер бойынша {correction} ₸ кем алынады",
        "ru": "Автобус показал {taken} ₸: со счёта по правилам взимается на {correction} ₸ меньше",
        "en": "The bus showed {taken} ₸: by the rules the account is charged {correction} ₸ less",
    },
}


def explain(reason: str, language: str, values: Mapping[str, object]) -> str:
    """Say in words why a ride has its price; the values are `day`, `medium`, `category`, `scheduled` and `charged`."""
    return TEXTS[reason][language].format(**values)
