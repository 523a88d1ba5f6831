"""The life of bank cards' rides, with real taps, a real database and an acquirer over HTTP that behaves."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select, update

from clearing.access.models import Principal
from clearing.access.roles import Caller, Scope
from clearing.access.service import decide_approval, issue_token
from clearing.acquiring.giving_back import Dispute, refund_charge, take_dispute
from clearing.acquiring.items import StatementItem, acquirer_items, settle
from clearing.acquiring.models import AcquirerOperation, BankCard, Charge, ChargeLine
from clearing.acquiring.service import CardholderPayment, take_payment
from clearing.acquiring.states import AUTHORISED, CLOSED, DEBT, DEBT_FINAL, OPEN, VERIFY
from clearing.acquiring.views import charges_of_day
from clearing.endpoint import ConflictError, InvalidError
from simulator.counterparties.acquirer import Acquirer
from simulator.counterparties.acquirer_book import Habits, Terms
from tests.builders import CITY, DAY, NOW_MS, NOW_S, Office, make_token
from tests.clearing.card_bench import DAY_MS, FARE, HOUR_MS, NEXT_MORNING_MS, CardBench
from tests.clearing.small_day import close

if TYPE_CHECKING:
    from collections.abc import Iterator

RIDE_S = 3600


@pytest.fixture
def acquirer(office: Office) -> Iterator[Acquirer]:
    with Acquirer(office.clock.now_ms, terms=Terms(issuer_bears_minor=3 * FARE)) as acquirer:
        yield acquirer


@pytest.fixture
def bench(office: Office, acquirer: Acquirer) -> CardBench:
    return CardBench(office, acquirer)


def empty(bench: CardBench, card: int) -> None:
    """Let a card that was verified have no money when it is charged."""
    assert bench.acquirer is not None
    bench.run(NOW_MS + HOUR_MS)
    with bench.office.database.reading() as session:
        verified = session.scalars(
            select(AcquirerOperation.reference)
            .join(BankCard, BankCard.id == AcquirerOperation.card_id)
            .where(BankCard.token == make_token(card), AcquirerOperation.kind == VERIFY)
        ).one()
    bench.acquirer.book.take_money(verified)


def test_a_days_rides_are_one_payment(bench: CardBench) -> None:
    bench.tap(1)
    bench.tap(1, NOW_S + RIDE_S)
    bench.tap(2, NOW_S + RIDE_S)
    bench.price()
    report = bench.run()
    assert report.asked == {"verify": 2, "authorise": 2, "capture": 2}
    charge = bench.charge(1)
    assert (charge.state, charge.rides, charge.taken_minor) == (CLOSED, 2, 2 * FARE)
    assert bench.operations(1) == ["authorise done", "capture done"]
    assert bench.balances() == {"asset:receivable:acquirer": 3 * FARE}
    assert bench.faults() == []


def test_nothing_is_asked_before_the_window_is_over(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    report = bench.run(NOW_MS + HOUR_MS)
    assert report.asked == {"verify": 1}
    assert bench.charge(1).state == OPEN


def test_running_again_changes_nothing(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    bench.run()
    before = bench.balances()
    report = bench.run()
    assert (report.rides, report.asked, report.ended) == (0, {}, 0)
    assert bench.balances() == before


def test_a_late_ride_is_a_further_attempt_and_never_a_second_charge(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    bench.run()
    bench.tap(1, NOW_S + 60)
    bench.price()
    bench.run()
    charge = bench.charge(1)
    assert (charge.state, charge.rides, charge.taken_minor) == (CLOSED, 2, 2 * FARE)
    assert bench.operations(1) == ["authorise done", "capture done"] * 2
    assert bench.faults() == []


def test_a_ride_that_becomes_cheaper_is_given_back(bench: CardBench) -> None:
    key = bench.tap(1)
    bench.tap(1, NOW_S + 60)
    bench.price()
    bench.run()
    bench.fares[key]["charged_minor"] = 4_000
    bench.price()
    bench.run()
    charge = bench.charge(1)
    assert (charge.state, charge.taken_minor, charge.returned_minor) == (CLOSED, 2 * FARE, 6_000)
    assert bench.operations(1)[-1] == "refund done"
    assert bench.faults() == []


def test_a_late_ride_that_makes_another_one_free_moves_no_money(bench: CardBench) -> None:
    key = bench.tap(1, NOW_S + 60)
    bench.price()
    bench.run()
    bench.tap(1)
    bench.fares[key]["charged_minor"] = 0
    bench.price()
    report = bench.run()
    assert report.asked == {}
    assert (bench.charge(1).rides, bench.charge(1).taken_minor) == (2, FARE)


def test_what_turned_out_to_be_no_ride_is_given_back(bench: CardBench) -> None:
    key = bench.tap(1)
    bench.price()
    bench.run()
    del bench.fares[key]
    bench.price()
    bench.run()
    assert (bench.charge(1).fares_minor, bench.charge(1).returned_minor) == (0, FARE)
    assert bench.faults() == []


def test_a_ride_that_moves_to_another_day_stays_in_its_charge(bench: CardBench) -> None:
    key = bench.tap(1)
    bench.price()
    bench.run()
    bench.fares[key]["day"] = "2024-05-14"
    bench.price()
    assert bench.run().asked == {}
    assert bench.charge(1).taken_minor == FARE
    assert bench.faults() == []


def test_a_free_ride_never_reaches_the_acquirer(bench: CardBench) -> None:
    bench.tap(1, fare_minor=0)
    bench.price()
    assert bench.run().asked == {"verify": 1}
    assert bench.charge(1).state == CLOSED
    with bench.office.database.reading() as session:
        (item,) = acquirer_items(session, CITY, DAY, DAY)
    assert (item.kind, item.state, item.amount_minor) == ("charge", "zero", 0)


def test_rides_without_a_token_are_not_glued_together(bench: CardBench) -> None:
    for number in range(2):
        key = bench.tap(1, NOW_S + number)
        bench.fares[key]["token"] = None
    bench.price()
    bench.run()
    with bench.office.database.reading() as session:
        charges = charges_of_day(session, CITY, DAY)
    assert [(each.rides, each.state) for each in charges] == [(1, OPEN)] * 2
    bench.later(15)
    with bench.office.database.reading() as session:
        assert {each.state for each in charges_of_day(session, CITY, DAY)} == {DEBT_FINAL}
    assert bench.balances() == {"expense:losses": 2 * FARE}
    assert bench.faults() == []


def test_rides_in_any_order_and_in_any_number_of_runs_make_the_same_charges(office: Office) -> None:
    bench = CardBench(office, window={"begins": "03:00", "hours": 6})

    def charges() -> list[tuple[str, int, int, int]]:
        with office.database.reading() as session:
            rows = session.scalars(select(Charge).order_by(Charge.reference)).all()
        return [(row.reference, row.window_s, row.rides, row.fares_minor) for row in rows]

    for number in range(12):
        bench.tap(number % 4, NOW_S + 3000 * number, sealed=False)
    rides = dict(bench.fares)
    bench.price()
    bench.run()
    at_once = charges()
    assert len(at_once) > 4, "rides of one card fall into several windows"
    with office.database.writing() as session:
        for table in (ChargeLine, Charge, BankCard):
            session.execute(delete(table))
    order = sorted(rides)
    Random(7).shuffle(order)
    for count in (5, 6, 11, 12):
        bench.fares = {key: rides[key] for key in order[:count]}
        bench.price()
        bench.run()
    assert charges() == at_once
    assert bench.faults() == []


def test_a_window_across_midnight_holds_the_rides_of_two_service_days(bench: CardBench) -> None:
    bench.agree(window={"begins": "12:00", "hours": 24})
    evening, morning = NOW_S + 8 * 3600, NOW_S + 22 * 3600  # 16:00, and 06:00 of the next service day
    bench.tap(1, NOW_S)
    bench.tap(1, evening)
    bench.tap(1, morning)
    bench.price()
    bench.run(NOW_MS + 2 * DAY_MS)
    assert [bench.charge(1, number).rides for number in range(2)] == [1, 2]
    assert bench.charge(1, 1).service_day == DAY
    assert bench.faults() == []


def test_a_declined_card_is_denied_pays_and_rides_again(bench: CardBench) -> None:
    bench.tap(1)
    bench.tap(2)
    bench.price()
    empty(bench, 1)
    report = bench.run()
    assert (report.denied, bench.denied()) == (1, {1})
    assert [bench.refused_on_the_bus(card) for card in (1, 2)] == [True, False]
    charge = bench.charge(1)
    assert (charge.state, charge.owed_minor, charge.liability) == (DEBT, FARE, "operator")
    assert bench.balances() == {"asset:debt": FARE, "asset:receivable:acquirer": FARE}
    payment = CardholderPayment("P-1", charge.reference, FARE, "KZT")
    for _ in range(2):
        with bench.office.database.writing() as session:
            take_payment(session, bench.office.keys, bench.caller, bench.office.clock.at_ms, payment, "debt.pay")
    assert bench.denied() == set()
    assert not bench.refused_on_the_bus(1)
    assert (bench.charge(1).state, bench.charge(1).taken_minor) == (CLOSED, FARE)
    assert bench.balances() == {"asset:receivable:acquirer": 2 * FARE}
    assert bench.later(20).asked == {}
    assert bench.faults() == []


def test_a_debt_is_tried_six_times_in_fourteen_days_and_then_written_off(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    for _ in range(30):
        bench.later(0.5)
    charge = bench.charge(1)
    assert (charge.state, charge.written_off_minor) == (DEBT_FINAL, FARE)
    assert bench.operations(1) == ["authorise refused"] * 7, "the first attempt and six tries"
    tried = [each.asked_at_ms for each in bench.history(1).operations]
    assert tried[-1] - tried[0] <= 14 * DAY_MS
    assert [each.cause for each in bench.history(1).operations] == ["window"] + ["merchant"] * 6
    assert bench.balances() == {"expense:losses": FARE}
    assert bench.denied() == {1}, "what was written off is still owed"
    assert bench.faults() == []


def test_a_debt_that_was_written_off_can_still_be_paid(bench: CardBench) -> None:
    bench.agree(debt={"tries": 0})
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    bench.run()
    assert bench.charge(1).state == DEBT_FINAL
    payment = CardholderPayment("P-1", bench.charge(1).reference, FARE, "KZT")
    with bench.office.database.writing() as session:
        take_payment(session, bench.office.keys, bench.caller, bench.office.clock.at_ms, payment, "debt.pay")
    assert (bench.charge(1).state, bench.denied()) == (CLOSED, set())
    assert bench.balances() == {"asset:receivable:acquirer": FARE}
    assert bench.faults() == []


def test_carriers_bear_what_is_written_off_where_the_package_says_so(bench: CardBench) -> None:
    bench.agree(debt={"tries": 0, "written_off_to": "carrier"})
    bench.tap(1)
    key = bench.tap(1, NOW_S + 60, 5_000)
    bench.fares[key]["carrier"] = "medeu"
    bench.price()
    empty(bench, 1)
    bench.run()
    assert bench.charge(1).borne_json == (
        '{"liability:payable:almaty:alatau":10000,"liability:payable:almaty:medeu":5000}'
    )
    assert bench.balances() == {}
    assert bench.faults() == []


def test_the_riders_next_tap_causes_a_try(bench: CardBench) -> None:
    assert bench.acquirer is not None
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    bench.run()
    bench.acquirer.book.give_money(bench.history(1).operations[0].reference)
    assert bench.run(NEXT_MORNING_MS + 2 * HOUR_MS).asked == {}, "it is not time yet"
    bench.tap_denied(1, NEXT_MORNING_MS // 1000 + 2 * 3600)
    bench.run(NEXT_MORNING_MS + 2 * HOUR_MS + 60_000)
    assert [each.cause for each in bench.history(1).operations] == ["window", "tap", ""]
    assert (bench.charge(1).state, bench.denied()) == (CLOSED, set())


def test_a_rider_who_holds_a_denied_card_again_and_again_is_tried_once_an_hour(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    bench.run()
    for minutes in range(20, 140, 20):
        at_ms = NEXT_MORNING_MS + minutes * 60_000
        bench.tap_denied(1, at_ms // 1000)
        bench.run(at_ms)
    assert len(bench.operations(1)) == 3


def test_a_card_that_its_bank_does_not_verify_is_denied_the_same_hour(office: Office) -> None:
    with Acquirer(office.clock.now_ms, habits=Habits(refuse_verification=1.0)) as acquirer:
        bench = CardBench(office, acquirer)
        bench.tap(1)
        report = bench.run(NOW_MS + HOUR_MS // 2)
        assert (report.asked, report.denied, bench.denied()) == ({"verify": 1}, 1, {1})
        report = bench.run(NOW_MS + 2 * DAY_MS)
        assert (report.undenied, bench.denied()) == (1, set()), "a later try verifies it"


def test_the_issuer_bears_the_first_ride_where_that_is_agreed(bench: CardBench) -> None:
    bench.agree(first_ride_liability="issuer", first_ride_maximum_minor=3 * FARE)
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    bench.run()
    charge = bench.charge(1)
    assert (charge.state, charge.liability, charge.taken_minor) == (CLOSED, "issuer", FARE)
    assert bench.operations(1) == ["authorise refused", "capture done"]
    assert bench.denied() == {1}, "it must not ride until it is verified again"
    assert bench.balances() == {"asset:receivable:acquirer": FARE}
    bench.later(2)
    assert bench.denied() == set()
    bench.tap(1, NEXT_MORNING_MS // 1000 + 3 * 86_400)
    bench.price()
    bench.later(4)
    bench.later(1)
    assert bench.charge(1, 1).liability == "operator", "a first ride there is but once"
    assert bench.faults() == []


def test_what_is_beyond_the_issuers_bound_is_a_debt(bench: CardBench) -> None:
    bench.agree(first_ride_liability="issuer", first_ride_maximum_minor=FARE - 1)
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    bench.run()
    assert (bench.charge(1).state, bench.charge(1).liability) == (DEBT, "operator")


def test_a_card_on_the_list_for_another_reason_stays_there(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    stolen = {"city": CITY, "tokens": [make_token(1).hex()], "reason": "stolen"}
    assert bench.office.client.post("/v1/lists/deny", json=stolen).status_code == 200
    bench.run()
    payment = CardholderPayment("P-1", bench.charge(1).reference, FARE, "KZT")
    with bench.office.database.writing() as session:
        take_payment(session, bench.office.keys, bench.caller, bench.office.clock.at_ms, payment, "debt.pay")
    assert bench.denied() == {1}


def test_rides_without_anything_sealed_wait_for_it(bench: CardBench) -> None:
    key = bench.tap(1, sealed=False)
    bench.price()
    assert bench.run().asked == {}
    bench.send_sealed(key, 1)
    bench.later(0.1)
    assert bench.operations(1) == ["authorise done", "capture done"]


def test_rides_of_which_nothing_sealed_ever_comes_are_given_up_and_held_against_nobody(bench: CardBench) -> None:
    bench.tap(1, sealed=False)
    bench.price()
    bench.run()
    assert bench.later(15).asked == {}
    assert bench.charge(1).state == DEBT_FINAL
    assert bench.denied() == set()
    assert bench.balances() == {"expense:losses": FARE}
    assert bench.faults() == []


def test_what_was_paid_out_is_booked_once(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    bench.run()
    reference = bench.history(1).operations[-1].reference
    item = StatementItem(reference, "capture", FARE, 150, "KZT", "2024-05-16", "77")
    others = [
        StatementItem("C20240515-NOBODY", "capture", FARE, 0, "KZT", "2024-05-16"),
        StatementItem(reference, "capture", FARE + 1, 150, "KZT", "2024-05-16"),
        StatementItem(reference, "capture", FARE, 150, "USD", "2024-05-16"),
        StatementItem(reference, "refund", -FARE, 0, "KZT", "2024-05-16"),
    ]
    with bench.office.database.writing() as session:
        verdicts = settle(session, bench.caller, bench.office.clock.at_ms, CITY, [item, item, *others])
    assert verdicts == ["settled", "repeated", "unknown", "amount_differs", "foreign_currency", "unknown"]
    assert bench.balances() == {"asset:bank": FARE - 150, "expense:fees": 150}
    assert bench.faults() == []


def test_a_declined_payment_is_not_taken_as_paid_out(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    bench.run()
    with bench.office.database.reading() as session:
        (item,) = acquirer_items(session, CITY, DAY, DAY)
    assert (item.kind, item.state) == ("authorise", "refused")


def test_two_persons_give_a_rider_money_back(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    bench.run()
    reference, now_ms = bench.charge(1).reference, bench.office.clock.at_ms
    database = bench.office.database
    with database.writing() as session:
        _, waiting = refund_charge(session, bench.caller, now_ms, reference, 4_000, "the bus broke down")
        assert waiting is not None
        issue_token(session, "second", "person", [Scope("approver")], now_ms)
        second = session.scalars(select(Principal.id).where(Principal.name == "second")).one()
        decide_approval(session, Caller(second, "second", ()), now_ms, waiting.id, approve=True)
    assert bench.charge(1).allowance_minor == 0
    with database.writing() as session:
        assert refund_charge(session, bench.caller, now_ms, reference, 4_000, "the bus broke down")[1] is None
    bench.run()
    charge = bench.charge(1)
    assert (charge.state, charge.allowance_minor, charge.returned_minor) == (CLOSED, 4_000, 4_000)
    assert bench.balances() == {"asset:receivable:acquirer": FARE - 4_000, "expense:losses": 4_000}
    with database.writing() as session, pytest.raises(InvalidError):
        refund_charge(session, bench.caller, now_ms, reference, FARE, "too much")
    assert bench.faults() == []


@pytest.mark.parametrize(
    ("ends", "balances"),
    [
        (["open"], {"asset:chargeback": FARE}),
        (["open", "open", "lost", "open"], {"expense:losses": FARE}),
        (["open", "won"], {"asset:receivable:acquirer": FARE}),
        (["lost"], {"expense:losses": FARE}),
    ],
)
def test_a_chargeback_is_in_the_books_as_it_stands(bench: CardBench, ends: list[str], balances: dict[str, int]) -> None:
    bench.tap(1)
    bench.price()
    bench.run()
    capture = bench.history(1).operations[-1].reference
    for status in ends:
        with bench.office.database.writing() as session:
            dispute = Dispute("D-1", capture, FARE, "KZT", status)
            take_dispute(session, bench.caller, bench.office.clock.at_ms, dispute, "chargeback.receive")
    assert bench.balances() == balances
    assert bench.run().asked == {}, "what is in dispute is neither asked for nor given back"
    assert bench.faults() == []


def test_more_than_was_taken_cannot_be_charged_back(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    bench.run()
    capture = bench.history(1).operations[-1].reference
    with bench.office.database.writing() as session, pytest.raises(InvalidError, match="more than is left"):
        take_dispute(
            session, bench.caller, NOW_MS, Dispute("D-1", capture, FARE + 1, "KZT", "open"), "chargeback.receive"
        )


def test_who_pays_while_the_card_is_tried_gets_one_of_the_two_back(bench: CardBench) -> None:
    assert bench.acquirer is not None
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    bench.run()
    bench.acquirer.book.give_money(bench.history(1).operations[0].reference)
    payment = bench.acquirer.book.pay(bench.charge(1).reference, FARE)
    bench.later(3)
    assert bench.charge(1).state == CLOSED
    with bench.office.database.writing() as session:
        now_ms = bench.office.clock.at_ms
        told = CardholderPayment(**payment)
        take_payment(session, bench.office.keys, bench.caller, now_ms, told, "debt.pay")
    bench.later(0.1)
    charge = bench.charge(1)
    assert (charge.taken_minor, charge.returned_minor) == (2 * FARE, FARE)
    assert bench.faults() == []


def test_a_payment_of_something_else_than_is_owed_is_refused_whole(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    empty(bench, 1)
    bench.run()
    for amount_minor, currency in ((FARE - 1, "KZT"), (FARE, "RUB"), (2 * FARE, "KZT")):
        payment = CardholderPayment("P-1", bench.charge(1).reference, amount_minor, currency)
        with bench.office.database.writing() as session, pytest.raises(InvalidError):
            take_payment(session, bench.office.keys, bench.caller, NOW_MS, payment, "debt.pay")
    assert bench.charge(1).state == DEBT


def test_a_payments_reference_cannot_be_used_for_another_debt(bench: CardBench) -> None:
    for card in (1, 2):
        bench.tap(card)
    bench.price()
    empty(bench, 1)
    empty(bench, 2)
    bench.run()
    keys = bench.office.keys
    with bench.office.database.writing() as session:
        take_payment(
            session,
            keys,
            bench.caller,
            NOW_MS,
            CardholderPayment("P", bench.charge(1).reference, FARE, "KZT"),
            "debt.pay",
        )
    with bench.office.database.writing() as session, pytest.raises(ConflictError):
        take_payment(
            session,
            keys,
            bench.caller,
            NOW_MS,
            CardholderPayment("P", bench.charge(2).reference, FARE, "KZT"),
            "debt.pay",
        )


def test_a_restored_copy_of_the_books_asks_under_the_same_references(bench: CardBench) -> None:
    """What was asked after the copy was made is asked again; the acquirer answers as it did, and takes nothing twice."""
    assert bench.acquirer is not None
    bench.tap(1)
    bench.price()
    bench.run()
    done = bench.acquirer.book.truth()
    with bench.office.database.writing() as session:
        for table in (AcquirerOperation, ChargeLine, Charge, BankCard):
            session.execute(delete(table))
    bench.run()
    assert bench.acquirer.book.truth() == done
    assert (bench.charge(1).state, bench.charge(1).taken_minor) == (CLOSED, FARE)


def test_a_restored_copy_with_other_rides_in_it_takes_what_is_missing_alone(bench: CardBench) -> None:
    """The acquirer holds the old amount under the reference; it counts, and the rest is asked for under the next one."""
    assert bench.acquirer is not None
    bench.tap(1)
    bench.price()
    bench.run()
    with bench.office.database.writing() as session:
        for table in (AcquirerOperation, ChargeLine, Charge, BankCard):
            session.execute(delete(table))
    bench.tap(1, NOW_S + 60)
    bench.price()
    report = bench.run()
    assert (report.unknown, report.faults) == (0, [])
    assert (bench.charge(1).state, bench.charge(1).taken_minor) == (CLOSED, 2 * FARE)
    done = [each for each in bench.acquirer.book.operations.values() if each.kind == "capture"]
    assert [each.amount_minor for each in done] == [FARE, FARE]
    assert bench.faults() == []


def test_an_altered_posting_or_a_forgotten_charge_is_found(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    bench.run()
    with bench.office.database.writing() as session:
        session.execute(update(Charge).values(taken_minor=2 * FARE, settled_minor=1))
    faults = bench.faults()
    assert any("in the books" in fault for fault in faults)
    assert any("has not taken what was captured" in fault for fault in faults)
    assert any("is owed back to the rider" in fault for fault in faults)


def test_an_authorisation_stands_until_it_is_captured(bench: CardBench) -> None:
    bench.tap(1)
    bench.price()
    bench.run(limit=2)
    assert bench.charge(1).state in {AUTHORISED, OPEN}
    bench.run()
    assert bench.charge(1).state == CLOSED


def test_a_day_goes_from_the_tap_over_its_close_to_the_bank_and_a_late_tap_after_it(bench: CardBench) -> None:
    """Nothing is priced by hand here: the close does it, and once more when a late batch has come."""
    bench.tap(1)
    bench.tap(2, NOW_S + 60)
    first = close(bench.office)
    bench.run(bench.office.clock.at_ms)
    assert {bench.charge(card).state for card in (1, 2)} == {CLOSED}
    bench.tap(1, NOW_S + 7200)
    second = close(bench.office)
    assert (first["version"], second["version"]) == (1, 2)
    report = bench.run(bench.office.clock.at_ms)
    assert (report.rides, report.asked) == (1, {"authorise": 1, "capture": 1})
    charge = bench.charge(1)
    assert (charge.rides, charge.taken_minor) == (2, charge.fares_minor)
    with bench.office.database.writing() as session:
        ours = [item for item in acquirer_items(session, CITY, DAY, DAY) if item.kind == "capture"]
        paid = [StatementItem(item.reference, item.kind, item.amount_minor, 0, "KZT", "2024-05-16") for item in ours]
        assert settle(session, bench.caller, NOW_MS, CITY, paid) == ["settled"] * 3
    assert bench.balances() == {"asset:bank": 3 * FARE}
    assert bench.faults() == []
