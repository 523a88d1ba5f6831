"""A whole validator before bank cards: rides, what is journalled of them, refusals with their reasons, and power cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from protocol.card_authorities import revoked_name
from protocol.cards.dukpt import BLOCK_COUNTERS
from protocol.tap import KIND_ACQUIRER_BLOB, KIND_BOOT, KIND_REFUSED, KIND_SINGLE, MEDIUM_BANK_CARD
from protocol.tokens import LABEL_BANK, medium_token
from simulator.card_authorities import authorities_payload, keep_authorities
from simulator.certified_reader import CertifiedModule
from simulator.counterparties.acquirer import open_for_authorisation
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.emv_issuer import CA_INDEX, VISA_SCHEME, certify_issuer
from simulator.flash import PowerCut
from tests.firmware.bench_board import NOW_S
from tests.firmware.bench_service import TOKEN_KEY
from tests.simulator.validator_bench import BusBench, make_card

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER = "9999990000000018"
SCHEMES = [VISA_LIKE, MASTERCARD_LIKE]
GREEN = "ok 2 15000 -, light green"


def make_bank_card(scheme: bytes = VISA_LIKE, number: str = NUMBER, **options: Any) -> EmvCard:  # noqa: ANN401
    return EmvCard(b"\x08\x01\x02\x03", number, "3012", scheme, **options)


class Altering(EmvCard):
    """A card whose answers are altered on the air."""

    alter: Callable[[bytes, bytes], bytes]

    def process(self, apdu: bytes) -> bytes:
        return self.alter(apdu, super().process(apdu))


def altered(scheme: bytes, alter: Callable[[bytes, bytes], bytes]) -> Altering:
    card = Altering(b"\x08\x01\x02\x03", NUMBER, "3012", scheme)
    card.alter = alter
    return card


def blobs(bus: BusBench) -> dict[int, bytes]:
    """The blobs that were journalled, by the sequence of their tap."""
    found = [tap for tap in bus.taps().values() if tap.kind == KIND_ACQUIRER_BLOB]
    return {tap.reference: tap.evidence for tap in found if isinstance(tap.reference, int) and tap.evidence}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_ride_is_journalled_with_its_token_and_what_the_acquirer_needs(scheme: bytes) -> None:
    bus = BusBench()
    assert bus.hold(make_bank_card(scheme)) == GREEN
    tap = bus.taps()[2]
    assert (tap.kind, tap.medium, tap.fare_minor, tap.counter) == (KIND_SINGLE, MEDIUM_BANK_CARD, 15_000, 1)
    assert tap.token == medium_token(TOKEN_KEY, LABEL_BANK, bytes.fromhex(NUMBER + "FFFF"))
    objects = open_for_authorisation(blobs(bus)[2])
    assert objects[0x57].hex().startswith(NUMBER + "d3012")
    assert objects[0x9F02] == bytes(6), "the fare is known only when the day is over"
    assert objects[0x9A] == b"\x24\x05\x15"
    assert objects[0x84] == scheme


def test_a_card_held_twice_pays_once() -> None:
    bus = BusBench()
    assert bus.hold(make_bank_card()) == GREEN
    assert bus.hold(make_bank_card()) == "again 2 15000 -, light amber"
    assert list(blobs(bus)) == [2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_fault_of_a_card_has_its_own_reason_and_charges_nobody(scheme: bytes) -> None:
    def declining() -> EmvCard:
        card = make_bank_card(scheme)
        card.declines = True
        return card

    def replaced(before: bytes, after: bytes) -> Altering:
        return altered(scheme, lambda _, answer: answer.replace(before, after))

    cases: list[tuple[EmvCard, int]] = [
        (replaced(b"\x8f\x01\x99", b"\x8f\x01\x98"), 26),
        (make_bank_card(scheme, certificates_expire_yymm="2404"), 27),
        (replaced(b"\x5f\x34\x01\x01", b"\x5f\x34\x01\x02"), 29),
        (declining(), 31),
        (EmvCard(b"\x08\x01\x02\x03", NUMBER, "2404", scheme), 3),
        (replaced(b"\x84\x07" + scheme, b"\x84\x07" + scheme[::-1]), 19),
        (altered(scheme, lambda _, answer: answer[: len(answer) // 2]), 19),
        (altered(scheme, lambda apdu, answer: answer if apdu[1] == 0xA4 else b"\x70\x82\xff\xff\x90\x00"), 19),
        (altered(scheme, lambda apdu, answer: answer if apdu[1] == 0xA4 else b"\x70\x7f" * 100 + b"\x90\x00"), 19),
        (altered(scheme, lambda apdu, answer: answer if apdu[1] == 0xA4 else b"\x81\x00" * 128 + b"\x90\x00"), 19),
        (EmvCard(b"\x08\x01\x02\x03", NUMBER, "3012", bytes.fromhex("A0000006581010")), 4),
    ]
    for card, decision in cases:
        bus = BusBench()
        assert bus.hold(card) == f"refused {decision}, light red"
        kinds = [tap.kind for tap in bus.taps().values()]
        assert kinds == [KIND_BOOT, KIND_REFUSED]
        assert bus.hold(make_bank_card(scheme)).endswith("green"), "and the next rider is served"


@pytest.mark.parametrize(
    ("scheme", "at"), [(VISA_LIKE, slice(9, 15)), (VISA_LIKE, slice(36, 40)), (MASTERCARD_LIKE, slice(30, 34))]
)
def test_what_was_changed_on_the_way_to_the_card_is_noticed(scheme: bytes, at: slice) -> None:
    class Meddled(EmvCard):
        def process(self, apdu: bytes) -> bytes:
            if apdu[:2] in {b"\x80\xa8", b"\x80\xae"} and len(apdu) > 30:
                changed = bytearray(apdu)
                changed[at.start + (2 if apdu[1] == 0xA8 else 0)] ^= 1
                apdu = bytes(changed)
            return super().process(apdu)

    bus = BusBench()
    assert bus.hold(Meddled(b"\x08\x01\x02\x03", NUMBER, "3012", scheme)) == "refused 30, light red"


def test_a_revoked_issuer_is_refused_on_the_next_list() -> None:
    bus = BusBench()
    key = bus.identity.derived_key(b"documents")
    revoked = revoked_name(VISA_SCHEME.rid, CA_INDEX, b"\0\0\1")
    bus.store.remove("card-authorities")
    keep_authorities(bus.store, key, authorities_payload(2, NOW_S + 86_400, revoked))
    bus.restart()
    assert bus.hold(make_bank_card()) == "refused 28, light red"
    assert bus.hold(make_bank_card(MASTERCARD_LIKE)).endswith("green")
    card = make_bank_card(number="9999990000000026")
    card.issuer = certify_issuer(VISA_SCHEME, bytes.fromhex(NUMBER[:8]), serial=b"\0\0\2")
    assert bus.hold(card).endswith("green"), "the issuer has a new certificate"


def test_without_a_list_of_authorities_or_with_an_old_one_no_card_is_taken() -> None:
    bus = BusBench()
    bus.store.remove("card-authorities")
    bus.restart()
    assert bus.hold(make_bank_card()) == "refused 26, light red"
    keep_authorities(bus.store, bus.identity.derived_key(b"documents"), authorities_payload(1, NOW_S - 1))
    bus.restart()
    assert bus.hold(make_bank_card()) == "refused 26, light red"


def test_a_list_of_authorities_that_somebody_else_wrote_is_none() -> None:
    bus = BusBench()
    keep_authorities(bus.store, b"key of somebody else", authorities_payload(9, NOW_S + 86_400))
    bus.restart()
    assert bus.hold(make_bank_card()) == "refused 26, light red"


def test_a_device_without_secure_element_takes_no_bank_cards() -> None:
    bus = BusBench()
    bus.profile = 2
    bus.restart()
    assert bus.hold(make_bank_card()) == "refused 32, light red"
    assert (
        bus.hold(EmvCard(b"\x08\x01\x02\x03", NUMBER, "3012", bytes.fromhex("A0000006581010")))
        == "refused 4, light red"
    )
    assert bus.hold(make_card()).endswith("green"), "it takes transport cards"


def test_in_test_mode_such_a_device_records_test_taps() -> None:
    bus = BusBench()
    bus.profile = 2
    bus.store.write("test-mode", b"")
    bus.restart()
    assert bus.hold(make_bank_card()).endswith("light green")
    [tap] = [tap for tap in bus.taps().values() if tap.kind == KIND_SINGLE]
    assert tap.reference is True


def test_a_device_into_which_no_acquirers_key_was_put_takes_no_bank_cards() -> None:
    bus = BusBench()
    bus.store.remove("acquirer-keys")
    assert bus.hold(make_bank_card()) == "refused 32, light red"
    bus.store.write("acquirer-keys", b"damaged")
    assert bus.hold(make_bank_card()) == "refused 32, light red"
    assert "the acquirer's keys are damaged" in " ".join(bus.board.logged)


def test_two_cards_at_once_are_asked_to_come_one_by_one() -> None:
    bus = BusBench()
    assert bus.hold(make_bank_card(), make_bank_card(number="9999990000000026")) == "refused 14, light red"
    assert not blobs(bus)


def test_a_denied_card_is_refused_and_its_blob_is_not_kept() -> None:
    bus = BusBench()
    assert bus.hold(make_bank_card()).endswith("green")
    token = bus.taps()[2].token
    assert token is not None
    bus.deny(token)
    bus.run(61_000)
    assert bus.hold(make_bank_card(MASTERCARD_LIKE)) == "refused 2, light red"
    assert list(blobs(bus)) == [2]


def test_no_counter_of_the_acquirers_keys_is_used_twice_whatever_happens() -> None:
    bus = BusBench(sectors=32)
    for rides in (3, 70, 2):
        for _ in range(rides):
            bus.run(61_000)
            assert bus.hold(make_bank_card()).endswith("green")
        bus.restart()
    counters = [int.from_bytes(blob[9:13], "big") for blob in blobs(bus).values()]
    assert len(set(counters)) == len(counters) == 75
    assert counters[3] == BLOCK_COUNTERS, "after a start it goes on behind the block"


def test_a_power_cut_at_any_byte_leaves_a_ride_with_its_blob_or_none() -> None:
    bus = BusBench()
    before, written = bus.state(), bus.flash.programmed_bytes
    assert bus.hold(make_bank_card()) == GREEN
    written = bus.flash.programmed_bytes - written
    for cut in range(0, written, 37):
        bus.start_in(before)
        bus.flash.cut_after_bytes = cut
        with pytest.raises(PowerCut):
            bus.hold(make_bank_card())
        bus.restart()
        assert bus.hold(make_bank_card()).split()[0] in {"ok", "again"}
        rides = [tap.sequence for tap in bus.taps().values() if tap.kind == KIND_SINGLE]
        assert len(rides) == 1
        assert set(rides) <= set(blobs(bus))


def test_a_journal_without_room_for_the_blob_takes_no_ride() -> None:
    bus = BusBench(sectors=2)
    shown = ""
    for _ in range(40):
        bus.run(61_000)
        shown = bus.hold(make_bank_card())
        if not shown.endswith("green"):
            break
    assert shown == "refused 13, light red"
    rides = [tap.sequence for tap in bus.taps().values() if tap.kind == KIND_SINGLE]
    assert rides == list(blobs(bus))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_certified_reader_tells_token_and_blob_and_nothing_else(scheme: bytes) -> None:
    bus = BusBench()
    bus.profile = 3
    bus.store.write("certified-reader", b"")
    bus.store.remove("card-authorities")
    bus.store.remove("acquirer-keys")
    bus.module = CertifiedModule(TOKEN_KEY, "module of a test")
    bus.restart()
    assert bus.hold(make_bank_card(scheme)).endswith("green")
    [ride] = [tap for tap in bus.taps().values() if tap.kind == KIND_SINGLE]
    assert ride.token == medium_token(TOKEN_KEY, LABEL_BANK, bytes.fromhex(NUMBER + "FFFF"))
    assert open_for_authorisation(blobs(bus)[ride.sequence])[0x84] == scheme
    declining = make_bank_card(scheme, "9999990000000026")
    declining.declines = True
    assert bus.hold(declining) == "refused 31, light red"
    assert (
        bus.hold(EmvCard(b"\x08\x01\x02\x03", NUMBER, "3012", bytes.fromhex("A0000006581010")))
        == "refused 4, light red"
    )
    assert bus.hold(make_card()).endswith("green"), "transport cards are read as by any other"
    torn = make_bank_card(scheme, "9999990000000034")
    torn.tear_at(4, carried_out=False)
    assert bus.hold(torn) == "refused 7, light red"
