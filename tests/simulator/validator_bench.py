"""A whole validator in process, wired as on a bus, with the virtual chip, cards and phones before it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware.app import Parts, start
from firmware.inspection import start as start_inspection
from firmware.journal import Journal
from firmware.keys import make_identity, save_membership
from firmware.readers.pn532 import RATE_SLOW
from firmware.token_list import encode_trailer
from protocol.cards.card_layout import Environment
from protocol.cose import TYP_FARE_TABLE, sign1
from protocol.decisions import DECISION_COMMITTED
from protocol.enrolment import encode_enrolled
from protocol.fare_table import FareTable, encode_fare_table
from protocol.medium_list import LIST_DENY
from protocol.qr.ticket import DAY_S, day_key
from protocol.tap import (
    KIND_INTENT,
    KIND_OUTCOME,
    KIND_TOP_UP,
    MEDIUM_BANK_CARD,
    MEDIUM_CASH,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
    Tap,
    decode_tap,
)
from simulator.card_authorities import authorities_payload, keep_authorities
from simulator.counterparties.acquirer import initial_key
from simulator.desfire_card import DesfireCard
from simulator.flash import NorFlash
from simulator.phone import PhoneTicket
from simulator.pn532_chip import Pn532Chip
from tests.firmware.bench_board import NOW_S, BenchBoard, BenchDatagrams, DictStore, run_for
from tests.firmware.bench_service import (
    AUDIENCE,
    CITY,
    DOCUMENT_KEY,
    EPOCH,
    QR_MASTER,
    TRANSIT_DEBIT,
    TRANSIT_READ,
    BenchService,
    make_bundle,
    make_enrolled,
)
from tests.simulator.old_card import old_card

if TYPE_CHECKING:
    from typing import Any

    from firmware.loop import Loop
    from simulator.certified_reader import CertifiedModule
    from simulator.iso_dep import Card

FARE_MINOR = 12_000
BALANCE_MINOR = 100_000
ADULT, SCHOOL = 1, 2
MASTERS = {
    "transit_read_master": TRANSIT_READ,
    "transit_debit_master": TRANSIT_DEBIT,
    "transit_mac_master": bytes(range(32, 48)),
    "transit_credit_master": bytes(range(48, 64)),
    "transit_application_master": bytes(range(64, 80)),
    "transit_card_master": bytes(range(80, 96)),
}
FARES = {
    MEDIUM_TRANSPORT_CARD: {ADULT: FARE_MINOR, SCHOOL: 0},
    MEDIUM_BANK_CARD: {ADULT: 15_000},
    MEDIUM_QR_TICKET: {ADULT: 13_000},
    MEDIUM_CASH: {ADULT: 20_000},
}
LOOK_MS = 3_000
VEHICLE_SECRET = b"A-101..."


def make_card(number: int = 1, balance_minor: int = BALANCE_MINOR, **changes: Any) -> DesfireCard:  # noqa: ANN401
    fields: dict[str, Any] = {"city": CITY, "category": ADULT, "expires_s": NOW_S + 86_400, "masters": MASTERS}
    fields |= {"version": 1} | changes
    environment = Environment(number.to_bytes(8, "big"), fields["city"], fields["category"], fields["expires_s"])
    return DesfireCard.personalise(
        b"\x04" + number.to_bytes(8, "big")[2:], environment, balance_minor, fields["masters"], fields["version"]
    )


def make_old_card(number: int = 1, balance_minor: int = BALANCE_MINOR, category: int = ADULT) -> DesfireCard:
    """Return a card of layout 1, as it was issued before: no events, no passes."""
    uid = b"\x04" + number.to_bytes(6, "big")
    environment = Environment(number.to_bytes(8, "big"), CITY, category, NOW_S + 86_400)
    return old_card(uid, environment, balance_minor, MASTERS)


def make_ticket(number: int = 1, **changes: Any) -> PhoneTicket:  # noqa: ANN401
    fields: dict[str, Any] = {"city": CITY, "category": ADULT, "expires_s": NOW_S + 86_400, "qr_master": QR_MASTER}
    fields |= changes
    return PhoneTicket(ticket_id=number.to_bytes(8, "big"), **fields)


def fare_table(number: int = 1, expires_s: int = NOW_S + 86_400) -> bytes:
    table = FareTable(number, NOW_S - 86_400, expires_s, CITY, FARES)
    return sign1(encode_fare_table(table), TYP_FARE_TABLE, AUDIENCE, DOCUMENT_KEY)


class WatchedBoard(BenchBoard):
    """A board on which every green light is checked: what it promises must be readable by whoever opens the flash anew."""

    open_journal: Any = None
    greens = 0

    def light(self, colour: str) -> None:
        super().light(colour)
        shown = self.told[-2].split()
        if colour == "green" and shown[1] == "ok":
            journal = self.open_journal()
            taps = taps_of(journal)
            tap = taps.get(int(shown[2]))
            if tap is None:
                assert int(shown[2]) <= journal.acked
            else:
                assert tap.fare_minor == int(shown[3])
                assert tap.kind != KIND_INTENT or DECISION_COMMITTED in outcomes_of(taps)[tap.sequence]
            self.greens += 1


def taps_of(journal: Journal) -> dict[int, Tap]:
    """Every record of a journal by its sequence."""
    records = journal.records_from(journal.oldest_sequence, 10_000, 1_000_000)[1]
    return {tap.sequence: tap for tap in map(decode_tap, records)}


def outcomes_of(taps: dict[int, Tap]) -> dict[int, list[int | None]]:
    """The decisions of all outcomes, by the sequence of their intent, or of their top-up."""
    begun = [tap.sequence for tap in taps.values() if tap.kind in {KIND_INTENT, KIND_TOP_UP}]
    outcomes: dict[int, list[int | None]] = {sequence: [] for sequence in begun}
    for tap in taps.values():
        if tap.kind == KIND_OUTCOME and isinstance(tap.reference, int):
            outcomes[tap.reference].append(tap.decision)
    return outcomes


class BusBench:
    """One bus.

    Attributes:
        board, chip, loop: of the present life of the program.
        flash, store: what outlives a power cut.
        plug: of the vehicle's network; None for a vehicle with one door.
        profile: how it holds its keys, from the next start on.
        module: the certified reader that it has instead of a PN532, from the next start on.
        service: who answers the outbox.
    """

    def __init__(
        self,
        policy: str = "refuse",
        sectors: int = 16,
        table: bytes | None = None,
        number: int = 1,
        plug: BenchDatagrams | None = None,
    ) -> None:
        self.policy = policy
        self.flash = NorFlash(sectors)
        self.store = DictStore()
        self.now_ms = 0
        self.profile = 1
        self.plug = plug
        self.module: CertifiedModule | None = None
        board = BenchBoard(store=self.store)
        board.random_bytes(32 * (number - 1))
        self.identity = make_identity(board)
        today = NOW_S // DAY_S
        keys = {day: day_key(QR_MASTER, day) for day in range(today - 1, today + 2)}
        enrolled = encode_enrolled(make_enrolled(self.identity.device))
        bundle = make_bundle(keys)
        bundle.vehicle_secret = VEHICLE_SECRET
        save_membership(board, self.identity, enrolled, bundle.encode())
        self.store.write("acquirer-keys", initial_key("bench"))
        payload = authorities_payload(1, NOW_S + 86_400)
        keep_authorities(self.store, self.identity.derived_key(b"documents"), payload)
        if table is None:
            table = fare_table()
        if table:
            self.store.write("fare-table", table)
        self.service: BenchService | None = None
        self.start()

    def _open_journal(self, *arguments: Any) -> Journal:  # noqa: ANN401
        self.journal = Journal(*arguments)
        self._arguments = arguments
        return self.journal

    def journal_anew(self) -> Journal:
        """Open the flash as a start would, without touching it."""
        journal = Journal(*self._arguments)
        journal.recover()
        return journal

    def start(self, chip: Pn532Chip | None = None) -> None:
        """Switch the validator on, and its chip as well, unless that was on all the time."""
        self.flash.cut_after_bytes = None
        self.board = WatchedBoard(flash=self.flash, store=self.store)
        self.board.profile = self.profile
        self.board.unix_ms_at_boot += self.now_ms
        self.board.open_journal = self.journal_anew
        if self.service is not None:
            self.board.answer = self.service.answer
        self.chip: Any = chip or self.module or Pn532Chip()
        self.board.nfc.on_write = self.chip_hears
        self.board.nfc.on_rate = self.line_changes
        self.line_changes(RATE_SLOW)
        self.board.neighbours = self.plug
        self.loop = self.wire()
        self.run(100)

    def wire(self) -> Loop:
        """Wire the program that the device runs."""
        parts = Parts()
        parts.journal = self._open_journal
        return start(self.board, policy_when_full=self.policy, parts=parts)

    def deny(self, token: bytes) -> None:
        """Put a medium on the deny list, and start anew."""
        trailer = encode_trailer(
            self.identity.derived_key(b"documents"), LIST_DENY, 1, NOW_S + 86_400, hashlib.sha256(token).digest()
        )
        self.store.write("deny-list", token + trailer)
        self.restart()

    def restart(self, chip: Pn532Chip | None = None) -> None:
        """The power was gone for a while; not that of the chip, where one is given."""
        self.now_ms += self.board.now_ms + 25_000
        self.start(chip)

    def state(self) -> tuple[bytes, dict[str, bytes]]:
        """What a power cut leaves."""
        return bytes(self.flash.data), dict(self.store.files)

    def start_in(self, state: tuple[bytes, dict[str, bytes]]) -> None:
        """Switch the validator on as it was then."""
        self.flash.data[:], self.store.files = state[0], dict(state[1])
        self.now_ms = 0
        self.start()

    def run(self, duration_ms: int) -> None:
        run_for(self.board, self.loop, duration_ms)

    def line_changes(self, bits_per_s: int) -> None:
        """The validator speaks to the chip at another rate."""
        self.chip.line.host_rate = bits_per_s

    def chip_hears(self, data: bytes) -> None:
        self.chip.receive_data(data, self.board.now_ms)
        self._chip_speaks()

    def _chip_speaks(self) -> None:
        data = self.chip.data_to_send(self.board.now_ms)
        if data:
            self.board.nfc.give(data)
        due_ms = self.chip.next_timeout_ms()
        if due_ms is not None:
            self.board.after(due_ms - self.board.now_ms, self._chip_speaks)

    # Riders.

    def hold(self, card: Card, other: Card | None = None) -> str:
        """Hold a card before the validator until it has had time enough, and return what was shown."""
        before = len(self.board.told)
        self.chip.present(card, self.board.now_ms, other)
        self._chip_speaks()
        self.run(LOOK_MS)
        for each in (card, other):
            if each is not None:
                self.chip.remove(each)
        self.run(LOOK_MS)
        return self.shown_since(before)

    def scan(self, text: str) -> str:
        before = len(self.board.told)
        self.board.qr.give(text.encode() + b"\r\n")
        self.run(LOOK_MS)
        return self.shown_since(before)

    def say(self, line: str) -> str:
        """Let the driver's console say a line."""
        before = len(self.board.told)
        self.board.driver.give(line.encode() + b"\n")
        self.run(LOOK_MS)
        return self.shown_since(before)

    def shown_since(self, before: int) -> str:
        """Return what was shown, in one line: words, and the light that went with them."""
        told = [line for line in self.board.told[before:] if not line.startswith("beep")]
        return ", ".join(line.removeprefix("show ") for line in told)

    def keep_up_with(self, other: BusBench) -> None:
        """Let as much time pass as has passed for another device of the vehicle."""
        self.run(max(other.now_ms + other.board.now_ms - self.now_ms - self.board.now_ms, 0))

    # Witnesses.

    def taps(self) -> dict[int, Tap]:
        return taps_of(self.journal_anew())

    def charged_minor(self) -> list[int]:
        """Return the fares of all debits that the records call committed, in order."""
        taps = self.taps()
        committed = [intent for intent, ends in outcomes_of(taps).items() if DECISION_COMMITTED in ends]
        return [taps[intent].fare_minor or 0 for intent in sorted(committed)]


class InspectorBench(BusBench):
    """An inspector's device on the same vehicle, before the same media."""

    def wire(self) -> Loop:
        identity = self.identity
        self._arguments = (self.flash, identity.derived_key(b"journal"), identity.device, EPOCH)
        return start_inspection(self.board, 180)


def plugged(door: BenchDatagrams, inspector: BenchDatagrams) -> None:
    """Let the datagrams of each arrive at the other."""
    door.others, inspector.others = [inspector], [door]
