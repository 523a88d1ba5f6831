"""Payment orders to a bank: what one says, before it is written as ISO 20022 or for 1C. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from clearing.endpoint import InvalidError
from clearing.network.parties import Operator, Parties
from clearing.settlement.parties import paying_operator
from clearing.settlement.payouts import PayoutView

_LANGUAGE = "ru"


@dataclass(frozen=True)
class Account:
    """Who pays or is paid, and where.

    Attributes:
        beneficiary_code: Кбе, residence and sector.
    """

    name: str
    bin: str
    iban: str
    bic: str
    beneficiary_code: str


@dataclass(frozen=True)
class PaymentOrder:
    """One payment.

    Attributes:
        number: of the document, for people; `reference` is what comes back on the bank's statement.
        purpose_code: КНП.
        details: what it is for, in words.
    """

    number: int
    reference: str
    payer: Account
    payee: Account
    amount_minor: int
    currency: str
    pay_on: date
    purpose_code: str
    details: str


def orders_of(payouts: Sequence[PayoutView], parties: Parties, currency: str) -> list[PaymentOrder]:
    """The orders that pay these payouts; what is set off whole needs none.

    Raises:
        InvalidError: a payout is not approved, or nobody is known who pays it; all such are named.
    """
    faults, orders = [], []
    for payout in payouts:
        operator = paying_operator(parties, payout.party)
        if payout.state != "approved":
            faults.append(f"payout {payout.number} is {payout.state}, not approved")
        elif operator is None or operator.bin is None or operator.iban is None or operator.bic is None:
            faults.append(f"payout {payout.number}: the city package names no account of the operator that pays it")
        elif payout.amount_minor:
            orders.append(_order(payout, operator, currency))
    if faults:
        raise InvalidError("; ".join(faults), "nothing was written: approve them, or name others")
    return orders


def _order(payout: PayoutView, operator: Operator, currency: str) -> PaymentOrder:
    assert operator.bin is not None
    assert operator.iban is not None
    assert operator.bic is not None
    name: str = getattr(operator.names, _LANGUAGE)
    return PaymentOrder(
        number=payout.number,
        reference=payout.reference,
        payer=Account(name, operator.bin, operator.iban, operator.bic, operator.beneficiary_code),
        payee=Account(payout.name, payout.bin, payout.iban, payout.bic, payout.beneficiary_code),
        amount_minor=payout.amount_minor,
        currency=currency,
        pay_on=date.fromisoformat(payout.pay_on),
        purpose_code=payout.purpose,
        details=f"Плата за проезд за {_dotted(payout.first_day)}–{_dotted(payout.last_day)}, {payout.reference}. Без НДС",
    )


def _dotted(day: str) -> str:
    return date.fromisoformat(day).strftime("%d.%m.%Y")
