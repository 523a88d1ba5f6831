"""However often a day is closed anew, all its versions together book it once; and the same totals are the same bytes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from clearing.settlement.booking import entries_between, legs_by_subject
from clearing.settlement.totals import Line, Totals, document_of, sum_lines, totals_from_json
from tests.builders import CITY, DAY

_MEDIA = ("bank_card", "cash", "other", "phone_nfc", "qr", "qr_screen", "sms", "transport_card")
_amounts = st.integers(0, 10**12)
_lines = st.dictionaries(
    st.tuples(st.sampled_from(["alatau", "medeu"]), st.sampled_from(_MEDIA)),
    st.tuples(st.integers(1, 10**6), _amounts, _amounts),
    max_size=6,
).map(lambda found: sum_lines((*where, *what) for where, what in found.items()))
_totals = st.builds(
    Totals,
    lines=_lines,
    refused=_amounts,
    unknown=_amounts,
    unknown_minor=_amounts,
    exceptions=_amounts,
    top_ups=_amounts,
    top_ups_minor=_amounts,
)


def _text(totals: Totals) -> str:
    return document_of(CITY, DAY, 1, totals, entries_between(CITY, DAY, 1, None, totals))


def _balances(legs: list[dict[str, int]]) -> dict[str, int]:
    balances: Counter[str] = Counter()
    for each in legs:
        balances.update(each)
    return {account: amount for account, amount in balances.items() if amount}


@given(st.lists(_totals, min_size=1, max_size=5))
def test_all_versions_together_book_the_day_once(versions: list[Totals]) -> None:
    entries = [
        entry
        for number, (before, after) in enumerate(zip([None, *versions], versions, strict=False), 1)
        for entry in entries_between(CITY, DAY, number, before, after)
    ]
    booked = [{posting.account: posting.amount_minor for posting in entry.postings} for entry in entries]
    assert _balances(booked) == _balances(list(legs_by_subject(CITY, versions[-1]).values()))
    keys = [entry.entry_key for entry in entries]
    assert len(keys) == len(set(keys))


@given(_totals)
def test_a_version_that_changes_nothing_books_nothing(totals: Totals) -> None:
    assert entries_between(CITY, DAY, 2, totals, totals) == []


@given(_totals)
def test_carriers_are_owed_the_fares_and_riders_the_rest(totals: Totals) -> None:
    balances = _balances(list(legs_by_subject(CITY, totals).values()))
    for row in totals.carriers({}):
        assert balances.get(f"liability:payable:{CITY}:{row.code}", 0) == -row.fares_minor
    paid = {"transport_card", "cash", "sms"}
    owed_back_minor = sum(line.correction_minor for line in totals.lines if line.medium in paid)
    assert balances.get(f"liability:refunds:{CITY}", 0) == -owed_back_minor


@given(_totals, st.data())
def test_totals_survive_being_written_and_do_not_depend_on_the_order_of_lines(
    totals: Totals, data: st.DataObject
) -> None:
    text = _text(totals)
    assert totals_from_json(text) == totals
    lines = data.draw(st.permutations(totals.lines))
    again = sum_lines(
        (line.carrier, line.medium, line.trips, line.charged_minor, line.correction_minor) for line in lines
    )
    assert again == totals.lines
    assert _text(totals_from_json(text)) == text


@given(_totals)
def test_media_and_carriers_are_two_cuts_through_the_same_rides(totals: Totals) -> None:
    for rows in (totals.media, totals.carriers({})):
        assert sum(row.trips for row in rows) == totals.rides
        assert sum(row.fares_minor for row in rows) == totals.fares_minor


def test_a_carrier_without_a_name_is_called_by_its_code() -> None:
    totals = Totals((Line("alatau", "cash", 1, 5, 0),), 0, 0, 0, 0, 0, 0)
    assert [(row.code, row.name) for row in totals.carriers({"alatau": "Alatau"})] == [("alatau", "Alatau")]
    assert totals.carriers({})[0].name == "alatau"
