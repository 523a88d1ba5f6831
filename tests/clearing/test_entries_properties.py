"""Whatever is booked balances; and a digest never mistakes one set of postings for another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clearing.ledger.entries import Entry, LedgerError, Posting, entry_of
from tests.builders import CITY, DAY

_ACCOUNTS = [f"asset:till:almaty:{number}" for number in range(6)]
_amounts = st.integers(-(10**15), 10**15)
_postings = st.lists(st.builds(Posting, st.sampled_from(_ACCOUNTS), _amounts), max_size=5).map(tuple)
_legs = st.dictionaries(st.sampled_from(_ACCOUNTS), _amounts, max_size=6)


def _balanced(legs: dict[str, int]) -> dict[str, int]:
    return legs | {"liability:purses:almaty": -sum(legs.values())}


@given(_postings)
def test_an_entry_either_balances_or_is_not_made(postings: tuple[Posting, ...]) -> None:
    amounts = [posting.amount_minor for posting in postings]
    good = len(amounts) >= 2 and all(amounts) and sum(amounts) == 0
    try:
        entry = Entry("k", CITY, DAY, "", postings)
    except LedgerError:
        assert not good
    else:
        assert good
        assert entry.postings == postings


@given(_legs)
def test_legs_that_balance_become_an_entry_that_says_the_same(legs: dict[str, int]) -> None:
    entry = entry_of("k", CITY, DAY, "", _balanced(legs))
    booked = {posting.account: posting.amount_minor for posting in entry.postings} if entry else {}
    assert booked == {account: amount for account, amount in _balanced(legs).items() if amount}


@given(_legs)
def test_an_entry_and_its_reversal_leave_nothing(legs: dict[str, int]) -> None:
    entry = entry_of("k", CITY, DAY, "", _balanced(legs))
    if entry is None:
        return
    back = entry.reverse("k/back")
    for one, other in zip(entry.postings, back.postings, strict=True):
        assert (one.account, one.amount_minor) == (other.account, -other.amount_minor)
    assert back.body_sha256() != entry.body_sha256()


@given(_legs, _legs)
def test_two_entries_have_one_digest_only_when_they_are_one(first: dict[str, int], second: dict[str, int]) -> None:
    one, other = (entry_of("k", CITY, DAY, "", _balanced(legs)) for legs in (first, second))
    if one is not None and other is not None:
        assert (one.body_sha256() == other.body_sha256()) == (one.postings == other.postings)
