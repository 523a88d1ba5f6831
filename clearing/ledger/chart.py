"""The chart of accounts. Debit is positive. Every account that is ever posted to is of one of these patterns.

A code is `KIND:NAME:CITY`, then whose it is: a carrier, or a counterparty by its code in the city package. A counterparty's
code is left out where the city package names none. A further account is one row in `CHART` and one function below it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = ("asset", "liability", "income", "expense")
_CITY = "{city}"
_PARTY = "{party}"
# What a code of a city, a carrier or a counterparty may be made of.
_WORD = "[^:/\\s]+"


@dataclass(frozen=True)
class ChartRow:
    """One pattern of accounts.

    Attributes:
        pattern: code with `{city}` and, where it is somebody's, `{party}`.
        says: what its balance means.
        party_may_lack: the city package may name no such party.
    """

    pattern: str
    says: str
    party_may_lack: bool = False

    @property
    def kind(self) -> str:
        return kind_of(self.pattern)

    def code(self, city: str, party: str = "") -> str:
        assert party or self.party_may_lack or _PARTY not in self.pattern, self.pattern
        code = self.pattern.replace(_CITY, city).replace(_PARTY, party)
        return code.removesuffix(":")

    def expression(self) -> str:
        party = f"(:{_WORD}){'?' if self.party_may_lack else ''}"
        return self.pattern.replace(_CITY, _WORD).replace(f":{_PARTY}", party)


_BANK = ChartRow("asset:bank:{city}", "money on the settlement account")
_ACQUIRER = ChartRow("asset:receivable:{city}:acquirer:{party}", "bank-card fares that an acquirer owes", True)
_QR_PROVIDER = ChartRow("asset:receivable:{city}:qr-provider:{party}", "QR fares that a payment provider owes", True)
_SMS = ChartRow("asset:receivable:{city}:sms-aggregator:{party}", "SMS fares that an aggregator owes", True)
_AGENTS = ChartRow("asset:receivable:{city}:agents:{party}", "top-ups that an agent has taken and owes", True)
_UNASSIGNED = ChartRow("asset:receivable:{city}:unassigned", "fares by media of which nobody is known who owes them")
_DEBT = ChartRow("asset:debt:{city}", "fares of declined bank cards, owed by riders; each debt is in acquiring")
_CHARGEBACK = ChartRow("asset:chargeback:{city}:{party}", "charged back by an acquirer, in dispute", True)
_CONCESSION = ChartRow("asset:concession:{city}:{party}", "what a payer of concessions owes for reduced fares", True)
_TILL = ChartRow("asset:till:{city}:{party}", "cash that a carrier's drivers have taken by the button, not yet counted")
_COUNTED = ChartRow("asset:till-counted:{city}:{party}", "cash that a carrier has counted and not yet banked")
_SHORT = ChartRow(
    "asset:till-short:{city}:{party}", "cash that was missing when it was counted: the carrier's to make good"
)
_PURSES = ChartRow(
    "liability:purses:{city}", "loaded on transport cards and not yet ridden off: control account of all purses"
)
_PENDING = ChartRow("liability:pending:{city}", "top-ups that are paid for and wait for their card")
_REFUNDS = ChartRow("liability:refunds:{city}", "taken beyond the tariff or promised, owed back to riders")
_PAYABLE = ChartRow("liability:payable:{city}:{party}", "what is owed to a carrier")
_SUSPENSE = ChartRow("liability:suspense:{city}", "money that came and of which nobody knows yet for what")
_COMMISSION = ChartRow("income:commission:{city}:{party}", "commission of a fare operator", True)
_OTHER_INCOME = ChartRow("income:other:{city}", "surplus cash, top-ups that nobody claims any more")
_FEES = ChartRow("expense:fees:{city}:{party}", "what a counterparty keeps for its service")
_LOSSES = ChartRow("expense:losses:{city}", "written off: first rides of bad cards, debts given up, disputes lost")

CHART = (
    _BANK,
    _ACQUIRER,
    _QR_PROVIDER,
    _SMS,
    _AGENTS,
    _UNASSIGNED,
    _DEBT,
    _CHARGEBACK,
    _CONCESSION,
    _TILL,
    _COUNTED,
    _SHORT,
    _PURSES,
    _PENDING,
    _REFUNDS,
    _PAYABLE,
    _SUSPENSE,
    _COMMISSION,
    _OTHER_INCOME,
    _FEES,
    _LOSSES,
)
_KNOWN = re.compile("|".join(f"(?:{row.expression()})" for row in CHART))

_FUNDING = {
    "bank_card": _ACQUIRER,
    "phone_nfc": _ACQUIRER,
    "qr": _QR_PROVIDER,
    "qr_screen": _QR_PROVIDER,
    "sms": _SMS,
    "transport_card": _PURSES,
    "cash": _TILL,
    "other": _UNASSIGNED,
}


def funding_account(city: str, carrier: str, medium: str, party: str = "") -> str:
    """The account that a ride by this medium is paid from; `party` is the counterparty's code, where there is one."""
    return _FUNDING[medium].code(city, carrier if medium == "cash" else party)


def bank_account(city: str) -> str:
    return _BANK.code(city)


def acquirer_account(city: str, party: str = "") -> str:
    return _ACQUIRER.code(city, party)


def qr_provider_account(city: str, party: str = "") -> str:
    return _QR_PROVIDER.code(city, party)


def sms_aggregator_account(city: str, party: str = "") -> str:
    return _SMS.code(city, party)


def agents_account(city: str, party: str = "") -> str:
    return _AGENTS.code(city, party)


def unassigned_account(city: str) -> str:
    return _UNASSIGNED.code(city)


def debt_account(city: str) -> str:
    return _DEBT.code(city)


def chargeback_account(city: str, party: str = "") -> str:
    return _CHARGEBACK.code(city, party)


def concession_account(city: str, payer: str = "") -> str:
    return _CONCESSION.code(city, payer)


def till_account(city: str, carrier: str) -> str:
    return _TILL.code(city, carrier)


def counted_account(city: str, carrier: str) -> str:
    return _COUNTED.code(city, carrier)


def short_account(city: str, carrier: str) -> str:
    return _SHORT.code(city, carrier)


def purses_account(city: str) -> str:
    return _PURSES.code(city)


def pending_account(city: str) -> str:
    return _PENDING.code(city)


def refund_account(city: str) -> str:
    return _REFUNDS.code(city)


def payable_account(city: str, carrier: str) -> str:
    return _PAYABLE.code(city, carrier)


def suspense_account(city: str) -> str:
    return _SUSPENSE.code(city)


def commission_account(city: str, operator: str = "") -> str:
    return _COMMISSION.code(city, operator)


def other_income_account(city: str) -> str:
    return _OTHER_INCOME.code(city)


def fees_account(city: str, party: str) -> str:
    return _FEES.code(city, party)


def losses_account(city: str) -> str:
    return _LOSSES.code(city)


def kind_of(account: str) -> str:
    return account.partition(":")[0]


def city_of_account(account: str) -> str:
    return account.split(":")[2]


def is_known(account: str) -> bool:
    """Whether the chart has such an account."""
    return _KNOWN.fullmatch(account) is not None
