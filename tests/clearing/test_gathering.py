"""What a close says of fares that lie in their table, by the rules of the city package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clearing.access.roles import Scope
from clearing.access.service import caller_by_token, issue_token
from clearing.network.parties import Parties, Pool, QrProvider, Shares
from clearing.network.service import parties_of, store_parties
from clearing.pricing.models import Fare
from clearing.pricing.service import PricedDay
from clearing.settlement.gathering import gather_totals
from clearing.settlement.parties import counterparty, party_of_ride, paying_operator
from clearing.settlement.totals import Line, PoolLine, SubsidyLine, Totals
from tests.builders import CITY, DAY, NOW_MS, NOW_S

if TYPE_CHECKING:
    from clearing.database import Database


def _fare(number: int, **changes: Any) -> Fare:  # noqa: ANN401 - fields of any type
    fields: dict[str, Any] = {
        "source": "tap",
        "source_key": f"aa/1/{number}",
        "city": CITY,
        "service_day": DAY,
        "carrier": "alatau",
        "vehicle": "A-101",
        "line": 1,
        "medium": "transport_card",
        "category": 1,
        "ridden_at_s": NOW_S,
        "scheduled_minor": 10_000,
        "charged_minor": 10_000,
        "correction_minor": 0,
        "explanation_json": "{}",
    }
    return Fare(**fields | changes)


def _gather(database: Database, *fares: Fare, **parties: Any) -> Totals:  # noqa: ANN401 - fields of any type
    with database.writing() as session:
        known = parties_of(session, CITY)
        store_parties(session, CITY, known.model_copy(update=parties))
        session.add_all(fares)
        session.flush()
        return gather_totals(session, CITY, DAY, PricedDay(len(fares), 0, 0), None)


def test_rides_are_added_up_by_carrier_medium_counterparty_and_operator(database: Database) -> None:
    totals = _gather(
        database, _fare(1), _fare(2, line=2), _fare(3, medium="bank_card"), _fare(4, carrier="medeu", line=3)
    )
    assert totals.lines == (
        Line("alatau", "bank_card", 1, 10_000, 0, "acquirer", "oper", 1000),
        Line("alatau", "transport_card", 2, 20_000, 0, "", "oper", 1000),
        Line("medeu", "transport_card", 1, 10_000, 0, "", "oper", 1000),
    )


def test_what_a_channel_brought_is_owed_by_whoever_sent_it(database: Database) -> None:
    with database.writing() as session:
        senders = []
        for name in ("first-qr", "second-qr", "stranger"):
            token = issue_token(session, name, "service", [Scope("provider")], NOW_MS)
            caller = caller_by_token(session, token)
            assert caller is not None
            senders.append(caller.principal_id)
    fares = [
        _fare(number, source="qr", source_key=f"{sender}/R-{number}", medium="qr_screen")
        for number, sender in enumerate(senders)
    ]
    names = parties_in(database).qr_providers[0].names
    providers = tuple(QrProvider(code=code, names=names) for code in ("first-qr", "second-qr"))
    totals = _gather(database, *fares, qr_providers=providers)
    assert [(line.party, line.trips) for line in totals.lines] == [("", 1), ("first-qr", 1), ("second-qr", 1)]


def parties_in(database: Database) -> Parties:
    with database.reading() as session:
        return parties_of(session, CITY)


def test_concessions_are_claimed_from_their_payer_and_from_nobody_where_there_is_none(database: Database) -> None:
    totals = _gather(
        database,
        _fare(1, category=2, charged_minor=5_000, subsidy_minor=5_000),
        _fare(2, category=2, charged_minor=5_000, subsidy_minor=5_000),
        _fare(3, category=9, charged_minor=0, subsidy_minor=10_000),
    )
    assert totals.subsidies == (SubsidyLine("alatau", "akimat", 2, 2, 10_000),)
    assert totals.subsidies_minor == 10_000


@pytest.mark.parametrize(
    ("by", "weights", "said"),
    [("rides", {}, (("alatau", 2), ("medeu", 1))), ("weights", {"medeu": 7}, (("alatau", 0), ("medeu", 7)))],
)
def test_pools_go_by_rides_or_by_weights(database: Database, by: Any, weights: dict[str, int], said: Any) -> None:  # noqa: ANN401
    pool = Pool(code="centre", carriers=("medeu", "alatau"), by=by, weights=weights)
    fares = (_fare(1), _fare(2), _fare(3, carrier="medeu", line=3))
    assert _gather(database, *fares, shares=Shares(pools=(pool,))).pools == (PoolLine("centre", said),)


def test_a_journey_is_shared_equally_by_its_rides_where_the_city_says_so(database: Database) -> None:
    def journey() -> tuple[Fare, ...]:
        opener = _fare(1, charged_minor=10_001)
        follows = {"journey_key": "tap/aa/1/1", "charged_minor": 0}
        return (
            opener,
            _fare(2, carrier="medeu", line=3, **follows),
            _fare(3, carrier="medeu", line=3, **follows),
            _fare(4),
            _fare(5, journey_key="tap/aa/1/4", charged_minor=0),
        )

    totals = _gather(database, *journey(), shares=Shares(transfers="equal"))
    # 10 001 tiyn by one ride to two: 3 333 2/3 and 6 667 1/3; the larger remainder gets the tiyn.
    assert totals.transfers == (("alatau", 3_334 - 10_001), ("medeu", 6_667))


def test_a_journey_belongs_to_the_carrier_of_its_first_ride_otherwise(database: Database) -> None:
    totals = _gather(database, _fare(1), _fare(2, carrier="medeu", line=3, journey_key="tap/aa/1/1", charged_minor=0))
    assert totals.transfers == ()


def test_a_sender_is_known_by_its_name_or_by_being_the_only_one() -> None:
    assert counterparty(["a", "b"], "b") == "b"
    assert counterparty(["a"], "somebody") == "a"
    assert counterparty(["a", "b"], "somebody") == counterparty([], "a") == ""


def test_in_a_city_without_parties_nobody_is_named() -> None:
    assert party_of_ride(Parties(), "bank_card", "") == party_of_ride(Parties(), "sms", "x") == ""
    assert paying_operator(Parties(), "alatau") is None
