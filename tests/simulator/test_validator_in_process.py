"""The whole validator with virtual media before it: who rides, who is charged, and that it is never both or neither."""

from __future__ import annotations

import pytest

from protocol.cards import card_layout as layout
from protocol.cose import TYP_LIST, sign1
from protocol.decisions import (
    DECISION_ALREADY_TAPPED,
    DECISION_COMMITTED,
    DECISION_NOT_COMMITTED,
    DECISION_OUTCOME_UNKNOWN,
)
from protocol.medium_list import LIST_DENY, encode_list, make_list
from protocol.tap import KIND_BOOT, KIND_FAULT, KIND_INTENT, KIND_OUTCOME, KIND_REFUSED, KIND_SINGLE
from protocol.tokens import LABEL_TRANSIT, medium_token
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.flash import PowerCut
from simulator.pn532_chip import Pn532Chip
from tests.firmware.bench_board import NOW_S
from tests.firmware.bench_service import AUDIENCE, DOCUMENT_KEY, TOKEN_KEY, BenchService
from tests.simulator.validator_bench import (
    BALANCE_MINOR,
    FARE_MINOR,
    MASTERS,
    SCHOOL,
    BusBench,
    fare_table,
    make_card,
    make_old_card,
    make_ticket,
    outcomes_of,
)

RIDE_COMMANDS = 9


def make_bank_card(scheme: bytes = VISA_LIKE) -> EmvCard:
    return EmvCard(b"\x08\x01\x02\x03", "9999990000000018", "3012", scheme)


# Rides.


def test_a_transport_card_pays_once_and_is_greeted_with_its_balance() -> None:
    bus = BusBench()
    card = make_card()
    shown = bus.hold(card)
    taps = bus.taps()
    intent, outcome = taps[2], taps[3]
    assert shown == f"ok 2 {FARE_MINOR} {BALANCE_MINOR - FARE_MINOR}, light green"
    assert [tap.kind for tap in taps.values()] == [KIND_BOOT, KIND_INTENT, KIND_OUTCOME]
    assert (intent.counter, outcome.counter, outcome.decision) == (1, 2, DECISION_COMMITTED)
    assert outcome.evidence is not None
    assert outcome.evidence[:8] == card.last_mac
    assert (card.committed_debits_minor, bus.charged_minor()) == ([FARE_MINOR], [FARE_MINOR])
    assert bus.board.greens == 1


def test_no_number_of_a_card_is_in_the_journal() -> None:
    bus = BusBench()
    bus.hold(make_card(0x0102030405060708))
    bus.hold(make_bank_card())
    assert bytes.fromhex("0102030405060708") not in bytes(bus.flash.data)
    for form in (b"9999990000000018", bytes.fromhex("9999990000000018")):
        assert form not in bytes(bus.flash.data)


def test_a_card_that_is_held_again_is_not_charged_again() -> None:
    bus = BusBench()
    card = make_card()
    bus.hold(card)
    assert bus.hold(card) == f"again 2 {FARE_MINOR} {BALANCE_MINOR - FARE_MINOR}, light amber"
    assert bus.taps()[4].decision == DECISION_ALREADY_TAPPED
    bus.run(60_000)
    assert bus.hold(card).startswith("ok 5 ")
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR] * 2


def test_a_new_trip_is_a_new_ride() -> None:
    bus = BusBench()
    card = make_card()
    bus.say("trip 1")
    bus.hold(card)
    bus.say("trip 2")
    assert bus.hold(card).startswith("ok ")
    assert [tap.trip for tap in bus.taps().values() if tap.kind == KIND_INTENT] == [1, 2]


def test_a_free_category_rides_without_a_debit() -> None:
    bus = BusBench()
    card = make_card(category=SCHOOL)
    assert bus.hold(card) == f"ok 2 0 {BALANCE_MINOR}, light green"
    assert (card.counter, bus.taps()[2].kind) == (2, KIND_INTENT)
    assert (card.events[-1].kind, card.committed_debits_minor) == (layout.EVENT_ACCOUNT, [])


@pytest.mark.parametrize("scheme", [VISA_LIKE, MASTERCARD_LIKE])
def test_a_bank_card_rides_on_account(scheme: bytes) -> None:
    bus = BusBench()
    assert bus.hold(make_bank_card(scheme)) == "ok 2 15000 -, light green"
    assert bus.hold(make_bank_card(scheme)) == "again 2 15000 -, light amber"


def test_a_ticket_rides_and_its_picture_does_not() -> None:
    bus = BusBench()
    ticket = make_ticket()
    text = ticket.text(NOW_S)
    assert bus.scan(text) == "ok 2 13000 -, light green"
    assert bus.scan(text) == "refused 20, light red"
    bus.run(120_000)
    assert bus.scan(text) == "refused 12, light red"
    assert bus.scan(ticket.text(NOW_S + 130)) == "ok 5 13000 -, light green"


def test_cash_is_counted_each_time() -> None:
    bus = BusBench()
    assert [bus.say("cash") for _ in range(2)] == ["ok 2 20000 -, light green", "ok 3 20000 -, light green"]


# Refusals.


@pytest.mark.parametrize(
    ("card", "decision"),
    [
        (make_card(balance_minor=FARE_MINOR - 1), 1),
        (make_card(expires_s=NOW_S - 1), 3),
        (make_card(city=2), 4),
        (make_card(masters=dict.fromkeys(MASTERS, bytes(16))), 5),
        (make_card(category=9), 8),
    ],
)
def test_a_card_that_may_not_ride_is_told_why_and_not_charged(card: object, decision: int) -> None:
    bus = BusBench()
    card.reset()  # type: ignore[attr-defined]
    assert bus.hold(card) == f"refused {decision}, light red"  # type: ignore[arg-type]
    refusal = bus.taps()[2]
    assert (refusal.kind, refusal.decision) == (KIND_REFUSED, decision)
    assert card.counter == 1  # type: ignore[attr-defined]


def test_a_denied_card_is_refused() -> None:
    bus = BusBench()
    card = make_card()
    token = medium_token(TOKEN_KEY, LABEL_TRANSIT, card.card_number)
    denied = encode_list(make_list(LIST_DENY, 3, NOW_S + 1000, [token]))
    bus.store.write("deny-list", sign1(denied, TYP_LIST, AUDIENCE, DOCUMENT_KEY))
    bus.restart()
    assert bus.hold(card) == "refused 2, light red"
    assert max(bus.taps().values(), key=lambda tap: tap.sequence).deny_list == 3


def test_without_a_fare_table_nothing_is_sold() -> None:
    for table in (b"", fare_table(expires_s=NOW_S)):
        bus = BusBench(table=table)
        assert bus.hold(make_card()) == "refused 9, light red"
        assert bus.say("cash") == "refused 9, light red"


def test_two_cards_at_once_are_not_guessed_about() -> None:
    bus = BusBench()
    one, other = make_card(1), make_card(2)
    assert bus.hold(one, other) == "refused 14, light red"
    assert one.commands == other.commands == 0
    assert bus.hold(one).startswith("ok ")


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("HELLO", 10),
        ("JQ1:%%%%", 10),
        (make_ticket(qr_master=bytes(32)).text(NOW_S), 11),
        (make_ticket().text(NOW_S - 120), 12),
        (make_ticket().text(NOW_S - 5 * 86_400), 12),
        (make_ticket(expires_s=NOW_S).text(NOW_S), 3),
        (make_ticket(city=2).text(NOW_S), 33),
        (make_ticket(category=9).text(NOW_S), 8),
    ],
)
def test_a_code_that_may_not_ride_is_told_why(text: str, decision: int) -> None:
    bus = BusBench()
    assert bus.scan(text) == f"refused {decision}, light red"
    assert bus.taps()[2].decision == decision


def test_a_card_of_no_kind_that_is_known_is_refused() -> None:
    bus = BusBench()
    assert bus.hold(EmvCard(b"\x08\x01\x02\x03", "9999990000000018", "3012", b"\xa0\x00\x00\x99\x99\x10\x10")) in {
        "refused 4, light red",
        "refused 19, light red",
    }


# A card torn away.


def test_the_line_to_the_chip_is_fast_and_stays_so_when_the_validator_starts_anew() -> None:
    bus = BusBench()
    assert (bus.chip.line.rate, bus.chip.line.host_rate) == (921_600, 921_600)
    chip = bus.chip
    bus.restart(chip)
    bus.run(1_000)
    assert bus.chip is chip
    assert bus.hold(make_card()).startswith("ok ")
    assert (bus.chip.line.rate, bus.chip.line.host_rate) == (921_600, 921_600)


def test_a_chip_that_is_reset_in_the_middle_of_the_day_is_found_again() -> None:
    bus = BusBench()
    assert bus.hold(make_card(1)).startswith("ok ")
    bus.chip.reset()
    bus.run(310_000)
    assert bus.hold(make_card(2)).startswith("ok ")
    assert bus.chip.line.rate == 921_600
    assert [line for line in bus.board.logged if line.startswith("reader")] == ["reader: the chip does not answer"]


def test_a_chip_that_is_reset_in_the_middle_of_a_ride_charges_nobody_and_goes_on() -> None:
    bus = BusBench()
    card = make_card()
    bus.chip.present(card, bus.board.now_ms)
    bus.chip_hears(b"")
    bus.run(10)
    bus.chip.reset()
    bus.chip.remove(card)
    bus.run(10_000)
    assert card.committed_debits_minor == []
    assert bus.hold(card).startswith("ok ")
    assert bus.chip.line.rate == 921_600


@pytest.mark.parametrize("fault", ["keeps_rate", "rate_max"])
def test_a_line_that_cannot_be_fast_is_left_slow(fault: str) -> None:
    chip = Pn532Chip()
    setattr(chip.line, fault, True if fault == "keeps_rate" else 115_200)
    bus = BusBench()
    bus.restart(chip)
    for _ in range(4):
        bus.run(3_000)
        if fault == "rate_max":
            chip.reset()  # nothing else brings a chip back that nobody understands
    bus.run(31_000)
    assert bus.hold(make_card()).startswith("ok ")
    assert (chip.line.rate, chip.line.host_rate) == (115_200, 115_200)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("torn_at", range(1, RIDE_COMMANDS + 1))
def test_a_torn_card_that_comes_again_is_charged_once(torn_at: int, carried_out: bool, is_restarted: bool) -> None:
    bus = BusBench()
    card = make_card()
    card.tear_at(torn_at, carried_out=carried_out)
    first = bus.hold(card)
    assert first.startswith("refused "), "no green light for what is not known"
    committing = torn_at == RIDE_COMMANDS
    assert card.committed_debits_minor == [FARE_MINOR] * (committing and carried_out)
    # The intent is recorded while the card takes from its purse, which is the last but two of the commands.
    in_vain = {torn_at: [[DECISION_NOT_COMMITTED]] for torn_at in (RIDE_COMMANDS - 2, RIDE_COMMANDS - 1)}
    ends = in_vain | {RIDE_COMMANDS: [[DECISION_OUTCOME_UNKNOWN]]}
    assert list(outcomes_of(bus.taps()).values()) == ends.get(torn_at, [])
    if is_restarted:
        bus.restart()
    shown = bus.hold(card)
    assert shown.endswith(f"{FARE_MINOR} {BALANCE_MINOR - FARE_MINOR}, light green")
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR]
    if committing:
        resolution = DECISION_COMMITTED if carried_out else DECISION_NOT_COMMITTED
        assert outcomes_of(bus.taps())[2] == [DECISION_OUTCOME_UNKNOWN, resolution]
    bus.restart()
    assert bus.hold(card).split()[0] in {"ok", "again"}
    assert card.committed_debits_minor == bus.charged_minor()


def test_what_another_validator_has_charged_is_told_apart() -> None:
    bus, other = BusBench(), BusBench(number=2)
    for torn_bus in (bus, other):
        torn_bus.say("trip 1")
    card = make_card()
    card.tear_at(RIDE_COMMANDS, carried_out=False)
    bus.hold(card)
    other.hold(card)
    bus.say("trip 2")
    assert bus.hold(card).startswith("ok ")
    assert outcomes_of(bus.taps())[2] == [DECISION_OUTCOME_UNKNOWN, DECISION_NOT_COMMITTED]
    assert card.committed_debits_minor == bus.charged_minor() + other.charged_minor()


def test_a_debit_that_was_committed_on_another_trip_is_proved_by_the_card_and_its_ride_not_given_away() -> None:
    bus = BusBench()
    bus.say("trip 1")
    card = make_card()
    card.tear_at(RIDE_COMMANDS, carried_out=True)
    bus.hold(card)
    bus.say("trip 2")
    assert bus.hold(card).startswith("ok ")
    taps = bus.taps()
    assert outcomes_of(taps)[2] == [DECISION_OUTCOME_UNKNOWN, DECISION_COMMITTED]
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR] * 2


def test_the_proof_of_a_debit_that_was_cut_off_is_fetched_when_the_card_comes_again() -> None:
    bus = BusBench()
    card = make_card()
    card.tear_at(RIDE_COMMANDS, carried_out=True)
    bus.hold(card)
    mac = card.last_mac
    bus.hold(card)
    proofs = [tap.evidence for tap in bus.taps().values() if tap.decision == DECISION_COMMITTED]
    assert [proof[:8] for proof in proofs if proof] == [mac]


def test_a_card_of_the_layout_before_rides_as_it_always_did() -> None:
    bus = BusBench()
    card = make_old_card()
    assert bus.hold(card) == f"ok 2 {FARE_MINOR} {BALANCE_MINOR - FARE_MINOR}, light green"
    assert (card.counter, card.committed_debits_minor) == (1, [FARE_MINOR])
    bus.run(120_000)
    card.tear_at(RIDE_COMMANDS, carried_out=True)
    bus.hold(card)
    assert bus.hold(card).startswith("ok ")
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR] * 2
    bus.run(120_000)
    free = make_old_card(2, category=SCHOOL)
    assert bus.hold(free).endswith(f" 0 {BALANCE_MINOR}, light green")
    assert (free.counter, max(bus.taps().values(), key=lambda tap: tap.sequence).kind) == (0, KIND_SINGLE)


def test_a_resolved_debit_is_not_resolved_again_after_a_start() -> None:
    bus = BusBench()
    card = make_card()
    card.tear_at(RIDE_COMMANDS, carried_out=True)
    bus.hold(card)
    bus.hold(card)
    bus.restart()
    bus.run(120_000)
    bus.hold(card)
    assert outcomes_of(bus.taps())[2] == [DECISION_OUTCOME_UNKNOWN, DECISION_COMMITTED]
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR] * 2


# Power cuts.


def test_a_power_cut_at_any_byte_of_a_ride_charges_once() -> None:
    bus = BusBench()
    state = bus.state()
    written = bus.flash.programmed_bytes
    bus.hold(make_card())
    ride_bytes = bus.flash.programmed_bytes - written
    assert ride_bytes >= 2 * 128
    colours = set()
    for cut in range(ride_bytes):
        bus.start_in(state)
        card = make_card()
        bus.flash.cut_after_bytes = cut
        with pytest.raises(PowerCut):
            bus.hold(card)
        assert bus.board.greens == 0, cut
        bus.restart()
        shown = bus.hold(card)
        colours.add((shown.split()[0], len(card.committed_debits_minor)))
        assert shown.endswith(f" {FARE_MINOR} {BALANCE_MINOR - FARE_MINOR}, light green"), (cut, shown)
        assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR], cut
        assert bus.flash.reprogrammed == 0, cut
    assert colours == {("ok", 1)}


def test_what_is_paid_and_not_shown_is_shown_when_the_card_comes_again() -> None:
    bus = BusBench()
    state = bus.state()
    card = make_card()
    ride_bytes = 3 * 128
    bus.start_in(state)
    bus.flash.cut_after_bytes = ride_bytes
    bus.hold(card)
    told = len(bus.board.told)
    assert told
    bus.restart()
    assert bus.hold(card) == f"again 3 {FARE_MINOR} {BALANCE_MINOR - FARE_MINOR}, light amber"
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR]


# A full journal.


def fill(bus: BusBench, slots_left: int) -> None:
    while bus.journal.free_slots > slots_left:
        bus.say("cash")


def test_a_full_journal_refuses_riders_and_charges_nobody() -> None:
    bus = BusBench(sectors=2)
    for slots_left in (2, 1, 0):
        fill(bus, slots_left)
        card = make_card()
        assert bus.hold(card) == "refused 13, light red", slots_left
        assert (card.counter, card.balance_minor) == (1, BALANCE_MINOR)
    assert bus.say("cash") == "refused 13, light red"
    assert bus.scan(make_ticket().text(NOW_S)).startswith("refused ")
    assert bus.hold(make_card(balance_minor=0)) == "refused 1, light red", "a refusal needs no room"


def test_a_full_journal_lets_riders_ride_free_and_counts_them() -> None:
    bus = BusBench("free", sectors=2)
    fill(bus, 0)
    card = make_card()
    assert bus.hold(card) == "free, light green"
    assert bus.say("cash") == "free, light green"
    assert card.counter == 1
    bus.service = BenchService(bus.identity.device, bus.board)
    bus.board.answer = bus.service.answer
    bus.run(1_200_000)
    faults = [tap for tap in bus.taps().values() if tap.kind == KIND_FAULT]
    assert [tap.extensions for tap in faults] == [{0: 2}]
    assert bus.hold(card).startswith("ok ")


def test_an_outcome_finds_its_place_whatever_is_recorded_meanwhile() -> None:
    bus = BusBench(sectors=2)
    fill(bus, 3)
    card = make_card()
    process = card.process

    def pay_cash_while_committing(apdu: bytes) -> bytes:
        if apdu[1] == 0xC7:
            for _ in range(3):
                bus.board.driver.give(b"cash\n")
        return process(apdu)

    card.process = pay_cash_while_committing  # type: ignore[method-assign]
    assert "ok " in bus.hold(card)
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR]


def test_a_full_journal_does_not_forget_what_is_unknown() -> None:
    for policy, shown in (("refuse", "refused 13, light red"), ("free", "free, light green")):
        bus = BusBench(policy, sectors=2)
        card = make_card()
        card.tear_at(RIDE_COMMANDS, carried_out=True)
        bus.hold(card)
        fill(bus, 0)
        assert bus.hold(card) == shown
        bus.service = BenchService(bus.identity.device, bus.board)
        bus.board.answer = bus.service.answer
        bus.run(1_200_000)
        assert bus.hold(card).startswith("ok 2 ")
        assert card.committed_debits_minor == [FARE_MINOR]


def test_a_start_with_a_full_journal_serves_on() -> None:
    bus = BusBench(sectors=2)
    fill(bus, 0)
    bus.restart()
    assert bus.hold(make_card()) == "refused 13, light red"


# A reader that fails.


def test_a_reader_that_stops_answering_is_started_again() -> None:
    bus = BusBench()
    bus.hold(make_card(1))
    bus.chip.stuck = True
    card = make_card(2)
    shown = [bus.hold(card).split(" ")[0] for _ in range(3)]
    assert any("reader" in line for line in bus.board.logged)
    assert "ok" in shown
    assert card.committed_debits_minor == [FARE_MINOR]


@pytest.mark.parametrize("command", range(1, 30))
def test_a_garbled_answer_at_any_moment_of_a_ride_charges_once(command: int) -> None:
    bus = BusBench()
    card = make_card()
    heard: list[bytes] = []

    def garble(data: bytes) -> None:
        heard.append(data)
        bus.chip.garble_next = len(heard) == command
        bus.chip_hears(data)

    bus.board.nfc.on_write = garble
    shown = [bus.hold(card).split(" ")[0] for _ in range(3)]
    assert shown[-1] in {"ok", "again"}
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR]
