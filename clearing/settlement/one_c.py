"""Payment orders in the exchange format of 1C with client banks, with the fields of Kazakhstan (БИН, КБе, КНП, ИИК). Pure.

In UTF-8 nothing is changed. Older programs read Windows-1251 alone, which has neither the Kazakh letters Ә Ғ Қ Ң Ө Ұ Ү Һ nor ₸:
there each is replaced by the letter that people write instead, and every text that this changes is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from clearing.money import format_minor
from clearing.settlement.payment_order import PaymentOrder

Encoding = Literal["utf-8", "windows-1251"]
_NAMES: dict[Encoding, str] = {"utf-8": "UTF-8", "windows-1251": "Windows"}
_INSTEAD = str.maketrans("ӘәҒғҚқҢңӨөҰұҮүҺһ", "АаГгКкНнОоУуУуХх") | {ord("₸"): "тенге"}


@dataclass(frozen=True)
class Changed:
    """A text that the encoding could not carry as it is."""

    field: str
    before: str
    after: str


def one_c_file(
    orders: Sequence[PaymentOrder], made_at_ms: int, encoding: Encoding = "utf-8"
) -> tuple[bytes, list[Changed]]:
    """The file, and every text that had to be changed for its encoding; the orders are one at least."""
    assert orders
    made = datetime.fromtimestamp(made_at_ms // 1000, UTC)
    changed: dict[tuple[str, str], Changed] = {}
    lines = ["1CClientBankExchange"]
    for name, value in _fields(orders, made, encoding):
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())
        written = _carried(text, encoding)
        if written != text:
            changed[name, text] = Changed(name, text, written)
        lines.append(f"{name}={written}" if value else name)
    lines.append("КонецФайла")
    return "\r\n".join([*lines, ""]).encode(encoding), list(changed.values())


def _carried(text: str, encoding: Encoding) -> str:
    if encoding == "utf-8":
        return text
    return text.translate(_INSTEAD).encode(encoding, "replace").decode(encoding)


def _fields(orders: Iterable[PaymentOrder], made: datetime, encoding: Encoding) -> Iterator[tuple[str, str]]:
    """All lines between the first and the last; a name without a value stands alone."""
    listed = sorted(orders, key=lambda order: (order.payer.iban, order.number))
    yield "ВерсияФормата", "2.00"
    yield "Кодировка", _NAMES[encoding]
    yield "Отправитель", "Jolaqy"
    yield "ДатаСоздания", _day(made)
    yield "ВремяСоздания", made.strftime("%H:%M:%S")
    yield "ДатаНачала", _day(min(order.pay_on for order in listed))
    yield "ДатаКонца", _day(max(order.pay_on for order in listed))
    for iban in sorted({order.payer.iban for order in listed}):
        yield "РасчСчет", iban
    for order in listed:
        yield from _document(order)


def _document(order: PaymentOrder) -> Iterator[tuple[str, str]]:
    yield "СекцияДокумент", "ПлатежноеПоручение"
    yield "НомерДокумента", str(order.number)
    yield "ДатаДокумента", _day(order.pay_on)
    yield "Сумма", format_minor(order.amount_minor)
    for whose, account in (("Плательщик", order.payer), ("Получатель", order.payee)):
        yield f"{whose}Наименование", account.name
        yield f"{whose}БИН_ИИН", account.bin
        yield f"{whose}ИИК", account.iban
        yield f"{whose}БанкБИК", account.bic
        yield f"{whose}КБЕ", account.beneficiary_code
    yield "КодНазначенияПлатежа", order.purpose_code
    yield "НазначениеПлатежа", order.details
    yield "КонецДокумента", ""


def _day(day: date) -> str:
    return day.strftime("%d.%m.%Y")
