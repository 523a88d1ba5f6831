"""The words of statements in three languages. Pure."""

from __future__ import annotations

LANGUAGES = ("kk", "ru", "en")
TEXTS: dict[str, dict[str, str]] = {
    "title": {"kk": "Есеп айырысу үзіндісі", "ru": "Выписка по расчётам", "en": "Statement of account"},
    "days": {
        "kk": "{first} – {last} тасымал күндері үшін",
        "ru": "За дни перевозок с {first} по {last}",
        "en": "Service days {first} to {last}",
    },
    "bin": {"kk": "БСН", "ru": "БИН", "en": "BIN"},
    "city": {"kk": "Қала", "ru": "Город", "en": "City"},
    "currency": {"kk": "Валюта", "ru": "Валюта", "en": "Currency"},
    "versions": {
        "kk": "Жабылған күндер (нұсқасы): {list}",
        "ru": "Закрытые дни (версия): {list}",
        "en": "Closed days (version): {list}",
    },
    "accounts": {"kk": "Шоттар", "ru": "Счета", "en": "Accounts"},
    "account": {"kk": "Шот", "ru": "Счёт", "en": "Account"},
    "opening": {"kk": "Басындағы қалдық", "ru": "На начало", "en": "Opening"},
    "debit": {"kk": "Дебет", "ru": "Дебет", "en": "Debit"},
    "credit": {"kk": "Кредит", "ru": "Кредит", "en": "Credit"},
    "closing": {"kk": "Соңындағы қалдық", "ru": "На конец", "en": "Closing"},
    "movements": {"kk": "Қозғалыстар", "ru": "Движения", "en": "Movements"},
    "day": {"kk": "Күні", "ru": "День", "en": "Day"},
    "what": {"kk": "Мазмұны", "ru": "Содержание", "en": "What"},
    "details": {"kk": "Неден құралады", "ru": "Из чего складывается", "en": "What it follows from"},
    "count": {"kk": "Саны", "ru": "Количество", "en": "Count"},
    "amount": {"kk": "Сома", "ru": "Сумма", "en": "Amount"},
    "rides": {"kk": "Сапарлар", "ru": "Поездки", "en": "Rides"},
    "claim": {
        "kk": "Жеңілдік өтемі, {category} санат",
        "ru": "Возмещение льгот, категория {category}",
        "en": "Concession claim, category {category}",
    },
    "top_ups": {"kk": "Карта толтыру", "ru": "Пополнения карт", "en": "Card top-ups"},
    "concessions": {"kk": "Жеңілдік өтемі", "ru": "Возмещение льгот", "en": "Concessions"},
    "commissions": {"kk": "Оператор комиссиясы", "ru": "Комиссия оператора", "en": "Operator's commission"},
    "pools": {"kk": "Ортақ табысты бөлу", "ru": "Раздел общей выручки", "en": "Shared fares"},
    "transfers": {"kk": "Ауысып отырғандар үлесі", "ru": "Доли пересадок", "en": "Shares of journeys"},
    "adjustments": {"kk": "Түзету", "ru": "Корректировка", "en": "Adjustment"},
    "payout": {"kk": "Төлем {reference}", "ru": "Выплата {reference}", "en": "Payout {reference}"},
    "version": {"kk": "{version}-нұсқа", "ru": "версия {version}", "en": "version {version}"},
    "page": {"kk": "{page}-бет", "ru": "Страница {page}", "en": "Page {page}"},
    "transport_card": {"kk": "көлік картасы", "ru": "транспортная карта", "en": "transport card"},
    "bank_card": {"kk": "банк картасы", "ru": "банковская карта", "en": "bank card"},
    "phone_nfc": {"kk": "телефон (NFC)", "ru": "телефон (NFC)", "en": "phone (NFC)"},
    "qr": {"kk": "QR-код", "ru": "QR-код", "en": "QR code"},
    "qr_screen": {"kk": "валидатор экранындағы QR", "ru": "QR на экране валидатора", "en": "QR on the validator"},
    "sms": {"kk": "SMS", "ru": "СМС", "en": "SMS"},
    "cash": {"kk": "қолма-қол ақша", "ru": "наличные", "en": "cash"},
    "other": {"kk": "басқа", "ru": "прочее", "en": "other"},
}
_SUBJECTS = ("concessions", "commissions", "pools", "transfers", "adjustments")


def say(key: str, language: str, **values: object) -> str:
    return TEXTS[key][language].format(**values)


def entry_in_words(entry_key: str, carriers: dict[str, dict[str, str]], language: str) -> str:
    """What an entry is, by its key; one of a kind that has no words here is called by its key."""
    kind, *rest = entry_key.split("/")
    if kind == "payout":
        return say("payout", language, reference=rest[-1])
    if kind != "close" or len(rest) < 4:
        return entry_key
    version, subject, *medium = rest[2:]
    said = _subject(subject, medium, carriers, language)
    return said if version == "1" else f"{said}, {say('version', language, version=version)}"


def _subject(subject: str, medium: list[str], carriers: dict[str, dict[str, str]], language: str) -> str:
    if medium:
        name = carriers.get(subject, {}).get(language, subject)
        return f"{name}: {say(medium[0], language) if medium[0] in TEXTS else medium[0]}"
    if subject == "top-ups":
        return say("top_ups", language)
    return say(subject, language) if subject in _SUBJECTS else subject
