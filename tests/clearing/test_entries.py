from __future__ import annotations

import dataclasses
import hashlib

import pytest

from clearing.ledger.chart import (
    agents_account,
    funding_account,
    kind_of,
    payable_account,
    purses_account,
    refund_account,
)
from clearing.ledger.entries import Entry, LedgerError, Posting, body_sha256, entry_of
from clearing.pricing.service import MEDIA_BY_WIRE
from tests.builders import CITY, DAY

_PURSES, _PAYABLE = "liability:purses:almaty", "liability:payable:almaty:alatau"


def _entry(*amounts_minor: int) -> Entry:
    postings = tuple(Posting(f"asset:till:almaty:{number}", amount) for number, amount in enumerate(amounts_minor))
    return Entry("k/1", CITY, DAY, "one day", postings)


@pytest.mark.parametrize("amounts_minor", [(1, -1), (3, -1, -2), (10**18, -(10**18))])
def test_an_entry_that_balances_can_be_made(amounts_minor: tuple[int, ...]) -> None:
    assert [posting.amount_minor for posting in _entry(*amounts_minor).postings] == list(amounts_minor)


@pytest.mark.parametrize("amounts_minor", [(), (5,), (0,), (0, 0), (1, -1, 0)])
def test_an_entry_has_two_postings_at_least_and_none_of_nothing(amounts_minor: tuple[int, ...]) -> None:
    with pytest.raises(LedgerError, match="k/1: an entry has two postings"):
        _entry(*amounts_minor)


@pytest.mark.parametrize("amounts_minor", [(1, 1), (5, -4), (3, -1, -1)])
def test_an_entry_that_does_not_balance_cannot_be_made(amounts_minor: tuple[int, ...]) -> None:
    with pytest.raises(LedgerError, match="k/1: debits and credits differ"):
        _entry(*amounts_minor)


def test_a_reversal_undoes_an_entry_and_says_which() -> None:
    entry = _entry(30, -10, -20)
    back = entry.reverse("k/2")
    assert (back.entry_key, back.city, back.service_day) == ("k/2", CITY, DAY)
    assert "k/1" in back.description
    assert [posting.amount_minor for posting in back.postings] == [-30, 10, 20]
    assert back.reverse("k/1").postings == entry.postings


def test_an_entry_is_made_from_what_is_not_nothing_in_the_order_of_accounts() -> None:
    entry = entry_of("k/1", CITY, DAY, "rides", {_PURSES: 500, _PAYABLE: -500, "asset:till:almaty:alatau": 0})
    assert entry is not None
    assert entry.postings == (Posting(_PAYABLE, -500), Posting(_PURSES, 500))
    assert entry_of("k/1", CITY, DAY, "rides", {_PURSES: 0, _PAYABLE: 0}) is None
    assert entry_of("k/1", CITY, DAY, "rides", {}) is None


def test_the_digest_is_of_what_is_booked_and_not_of_its_name() -> None:
    entry = _entry(1, -1)
    renamed = dataclasses.replace(entry, entry_key="k/9", description="other words")
    assert renamed.body_sha256() == entry.body_sha256() == body_sha256(CITY, DAY, entry.postings)
    text = (
        f'{{"city":"{CITY}","postings":[["asset:till:almaty:0",1],["asset:till:almaty:1",-1]],"service_day":"{DAY}"}}'
    )
    assert entry.body_sha256() == hashlib.sha256(text.encode()).digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"city": "astana"},
        {"service_day": "2024-05-16"},
        {"postings": _entry(2, -2).postings},
        {"postings": _entry(-1, 1).postings},
        {"postings": tuple(reversed(_entry(1, -1).postings))},
    ],
)
def test_the_digest_tells_one_entry_from_another(changes: dict[str, object]) -> None:
    entry = _entry(1, -1)
    assert dataclasses.replace(entry, **changes).body_sha256() != entry.body_sha256()  # type: ignore[arg-type]


def test_every_medium_has_an_account_that_it_is_paid_from() -> None:
    accounts = {medium: funding_account(CITY, "alatau", medium) for medium in (*MEDIA_BY_WIRE.values(), "sms", "other")}
    assert accounts == {
        "transport_card": "liability:purses:almaty",
        "bank_card": "asset:receivable:almaty:acquirer",
        "phone_nfc": "asset:receivable:almaty:acquirer",
        "qr": "asset:receivable:almaty:qr-provider",
        "qr_screen": "asset:receivable:almaty:qr-provider",
        "cash": "asset:till:almaty:alatau",
        "sms": "asset:receivable:almaty:sms-aggregator",
        "other": "asset:receivable:almaty:unassigned",
    }
    others = (payable_account(CITY, "alatau"), refund_account(CITY), agents_account(CITY), purses_account(CITY))
    assert {kind_of(account) for account in (*accounts.values(), *others)} == {"asset", "liability"}
