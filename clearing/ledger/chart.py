"""The chart of accounts. Debit is positive; every account is an asset or a liability.

| Account | Says |
|---|---|
| `asset:receivable:CITY:acquirer` | bank-card fares that the acquirer owes |
| `asset:receivable:CITY:qr-provider` | QR fares that the payment provider owes |
| `asset:receivable:CITY:sms-aggregator` | SMS fares that the aggregator owes |
| `asset:receivable:CITY:agents` | top-ups that agents have taken and owe |
| `asset:receivable:CITY:unassigned` | fares by media of which nobody is known who owes them |
| `asset:till:CITY:CARRIER` | cash that a carrier's drivers have taken, and that the carrier holds |
| `liability:purses:CITY` | what is loaded on transport cards and not yet ridden off |
| `liability:refunds:CITY` | taken on buses beyond the tariff, owed back to riders |
| `liability:payable:CITY:CARRIER` | fares that are owed to a carrier |
"""

from __future__ import annotations

_FUNDING = {
    "bank_card": "asset:receivable:{city}:acquirer",
    "phone_nfc": "asset:receivable:{city}:acquirer",
    "qr": "asset:receivable:{city}:qr-provider",
    "qr_screen": "asset:receivable:{city}:qr-provider",
    "sms": "asset:receivable:{city}:sms-aggregator",
    "transport_card": "liability:purses:{city}",
    "cash": "asset:till:{city}:{carrier}",
    "other": "asset:receivable:{city}:unassigned",
}


def funding_account(city: str, carrier: str, medium: str) -> str:
    """The account that a ride by this medium is paid from."""
    return _FUNDING[medium].format(city=city, carrier=carrier)


def payable_account(city: str, carrier: str) -> str:
    return f"liability:payable:{city}:{carrier}"


def refund_account(city: str) -> str:
    return f"liability:refunds:{city}"


def agents_account(city: str) -> str:
    return f"asset:receivable:{city}:agents"


def purses_account(city: str) -> str:
    return f"liability:purses:{city}"


def kind_of(account: str) -> str:
    return account.partition(":")[0]
