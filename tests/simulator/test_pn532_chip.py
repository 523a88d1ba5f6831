"""The emulated chip, on virtual time, by the firmware's own codec. Hosts that nobody here wrote are in `test_doors`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.readers.pn532_frames import ACK, FrameDecoder, encode_frame
from protocol.cards import card_layout as layout
from protocol.cards.card_layout import Environment
from simulator.desfire_card import DesfireCard
from simulator.emv_card import EmvCard
from simulator.pn532_chip import Pn532Chip
from simulator.sample_cards import SAMPLE_MASTERS

_SELECT = b"\x00\xa4\x04\x00" + bytes((len(layout.DF_NAME),)) + layout.DF_NAME + b"\x00"
_ERROR_FRAME = b"\x00\x00\xff\x01\xff\x7f\x81\x00"


def _transit_card() -> DesfireCard:
    environment = Environment(b"JQ000001", 1, 1, 1)
    return DesfireCard.personalise(bytes.fromhex("04112233445566"), environment, 1000, SAMPLE_MASTERS)


def _bank_card() -> EmvCard:
    return EmvCard(bytes.fromhex("08aabbcc"), "9999990000000018", "3012")


class Host:
    """A host on the chip's UART, on virtual time."""

    def __init__(self) -> None:
        self.chip = Pn532Chip()
        self.now_ms = 1000

    def start(self, *command: int, data: bytes = b"") -> None:
        """Send a command, and see it acknowledged."""
        self.chip.receive_data(encode_frame(b"\xd4" + bytes(command) + data), self.now_ms)
        assert self.chip.data_to_send(self.now_ms) == ACK

    def wait(self) -> bytes | None:
        """Return the next answer without its direction byte, or nothing when none is to come."""
        due_ms = self.chip.next_timeout_ms()
        if due_ms is None:
            return None
        assert self.chip.data_to_send(due_ms - 1) == b""
        self.now_ms = due_ms
        decoder = FrameDecoder()
        decoder.receive(self.chip.data_to_send(due_ms))
        frame = decoder.next_frame()
        assert frame is not None
        assert frame.data[:1] == b"\xd5"
        return frame.data[1:]

    def ask(self, *command: int, data: bytes = b"") -> bytes:
        self.start(*command, data=data)
        answer = self.wait()
        assert answer is not None
        assert answer[0] == command[0] + 1
        return answer[1:]


@pytest.fixture
def host() -> Host:
    return Host()


def test_the_chip_says_which_it_is_and_takes_settings(host: Host) -> None:
    assert host.ask(0x02)[0] == 0x32
    assert host.ask(0x14, 1, 0, 1) == b""
    assert host.ask(0x32, 5, 0xFF, 1, 0xFF) == b""
    assert host.ask(0x16, 0xF0, 0) == b"\x00"


def test_it_changes_its_rate_once_its_answer_is_acknowledged(host: Host) -> None:
    assert host.ask(0x10, 7) == b""
    assert host.chip.line.rate == 115_200
    host.chip.receive_data(ACK, host.now_ms)
    assert host.chip.line.rate == 921_600
    host.chip.receive_data(ACK, host.now_ms)
    assert host.chip.line.rate == 921_600, "the next ACK is an ACK"
    host.chip.reset()
    assert host.chip.line.rate == 115_200


def test_at_another_rate_than_the_hosts_it_hears_and_says_noise(host: Host) -> None:
    host.chip.line.host_rate = 921_600
    host.chip.receive_data(encode_frame(b"\xd4\x02"), host.now_ms)
    assert host.chip.next_timeout_ms() is None
    host.chip.line.host_rate = 115_200
    host.start(0x02)
    host.chip.line.host_rate = 921_600
    decoder = FrameDecoder()
    decoder.receive(host.chip.data_to_send(host.now_ms + 1))
    assert decoder.next_frame() is None


def test_a_chip_may_say_that_it_changes_and_not_do_it(host: Host) -> None:
    host.chip.line.keeps_rate = True
    assert host.ask(0x10, 7) == b""
    host.chip.receive_data(ACK, host.now_ms)
    assert host.chip.line.rate == 115_200


def test_a_card_speaks_faster_in_the_air_where_it_offers_that_and_nothing_was_said_before(host: Host) -> None:
    host.chip.present(_transit_card(), host.now_ms)
    host.ask(0x4A, 2, 0)
    assert host.ask(0x4E, 1, 2, 2) == b"\x00"
    assert host.chip.air_kbits == 424
    assert host.ask(0x40, 1, data=_SELECT)[:1] == b"\x00"
    assert host.ask(0x4E, 1, 1, 1) == b"\x01", "now it is too late"


def test_a_bank_card_does_not_answer_to_another_rate(host: Host) -> None:
    host.chip.present(_bank_card(), host.now_ms)
    host.ask(0x4A, 2, 0)
    assert host.ask(0x4E, 1, 2, 2) == b"\x01"
    assert host.ask(0x4E, 1, 0, 0) == b"\x00"
    assert host.ask(0x4E, 2, 0, 0) == b"\x27"
    assert host.chip.air_kbits == 106


@pytest.mark.parametrize("parameters", [(1,), (1, 0), (1, 3, 0), (1, 0, 0, 0)])
def test_a_malformed_wish_for_another_rate_is_answered_with_an_error_frame(
    host: Host, parameters: tuple[int, ...]
) -> None:
    host.start(0x4E, *parameters)
    assert host.chip.data_to_send(host.now_ms + 1) == _ERROR_FRAME


def test_it_acknowledges_an_unknown_command_and_answers_with_an_error_frame(host: Host) -> None:
    host.start(0x77)
    assert host.chip.data_to_send(host.now_ms + 1) == _ERROR_FRAME


def test_a_long_frame_is_echoed(host: Host) -> None:
    data = b"\x00" + bytes(range(256)) + b"12345"
    assert host.ask(0x00, data=data) == data


def test_it_waits_without_end_for_a_card_and_tells_of_it_at_once(host: Host) -> None:
    host.start(0x4A, 2, 0)
    assert host.chip.next_timeout_ms() is None
    host.now_ms += 3_600_000
    host.chip.present(_transit_card(), host.now_ms)
    assert host.wait() == b"\x4b\x01\x01\x03\x44\x20\x07\x04\x11\x22\x33\x44\x55\x66" + DesfireCard.ats


def test_it_gives_up_after_the_retries_that_were_set(host: Host) -> None:
    host.ask(0x32, 5, 0xFF, 1, 1)
    begun_ms = host.now_ms
    assert host.ask(0x4A, 2, 0) == b"\x00"
    assert host.now_ms - begun_ms == 10


def test_two_cards_at_the_same_moment_are_both_told(host: Host) -> None:
    host.start(0x4A, 2, 0)
    host.chip.present(_transit_card(), host.now_ms, _bank_card())
    answer = host.wait()
    assert answer is not None
    assert answer[1] == 2
    assert bytes.fromhex("08aabbcc") in answer


def test_a_card_is_asked_and_is_gone_when_it_is_taken_away(host: Host) -> None:
    card = _transit_card()
    host.chip.present(card, host.now_ms)
    host.ask(0x4A, 2, 0)
    assert host.ask(0x40, 1, data=_SELECT) == b"\x00\x90\x00"
    host.chip.remove(card)
    assert host.ask(0x40, 1, data=_SELECT) == b"\x27"
    assert host.ask(0x52, 0) == b"\x00"


def test_a_card_that_is_torn_away_in_a_command_times_out(host: Host) -> None:
    card = _transit_card()
    card.tear_at(1, carried_out=False)
    host.chip.present(card, host.now_ms)
    host.ask(0x4A, 2, 0)
    assert host.ask(0x40, 1, data=_SELECT) == b"\x01"


def test_there_are_no_cards_of_other_kinds(host: Host) -> None:
    host.chip.present(_transit_card(), host.now_ms)
    assert host.ask(0x4A, 1, 1, data=b"\x00\xff\xff\x00\x00") == b"\x00"


def test_an_ack_from_the_host_ends_what_the_chip_is_doing(host: Host) -> None:
    host.start(0x4A, 2, 0)
    host.chip.receive_data(ACK, host.now_ms)
    host.chip.present(_transit_card(), host.now_ms)
    assert host.wait() is None


def test_a_stuck_chip_is_woken_by_asking_which_it_is(host: Host) -> None:
    host.chip.stuck = True
    host.chip.receive_data(encode_frame(b"\xd4\x14\x01\x00\x01"), host.now_ms)
    assert host.chip.next_timeout_ms() is None
    assert host.ask(0x02)[0] == 0x32


def test_noise_instead_of_an_answer_is_no_frame(host: Host) -> None:
    host.chip.garble_next = True
    host.start(0x02)
    due_ms = host.chip.next_timeout_ms()
    assert due_ms is not None
    decoder = FrameDecoder()
    decoder.receive(host.chip.data_to_send(due_ms))
    assert decoder.next_frame() is None
    assert host.ask(0x02)[0] == 0x32


# Cards as a host finds them that picks one, or speaks ISO-DEP itself.


def _listed(host: Host, *, tells_ats: bool = True) -> DesfireCard:
    card = _transit_card()
    host.chip.present(card, host.now_ms)
    host.ask(0x12, 0x10 if tells_ats else 0)
    host.ask(0x4A, 1, 0)
    return card


def test_as_many_cards_are_told_as_are_asked_for(host: Host) -> None:
    host.chip.present(_transit_card(), host.now_ms, _bank_card())
    assert host.ask(0x4A, 1, 0)[0] == 1
    assert host.ask(0x04) == b"\x00\x01\x01\x01\x00\x00\x00\x00"


def test_a_card_is_picked_by_its_uid(host: Host) -> None:
    host.ask(0x32, 5, 0xFF, 1, 0)
    host.chip.present(_transit_card(), host.now_ms, _bank_card())
    assert host.ask(0x4A, 1, 0, data=bytes.fromhex("08aabbcc"))[5:10] == bytes.fromhex("0408aabbcc")
    assert host.ask(0x4A, 1, 0, data=bytes.fromhex("8804112233445566"))[5:13] == bytes.fromhex("0704112233445566")
    assert host.ask(0x4A, 1, 0, data=bytes.fromhex("08aabbcd")) == b"\x00"


def test_who_speaks_iso_dep_itself_sends_raw_frames(host: Host) -> None:
    _listed(host, tells_ats=False)
    assert host.ask(0x42, data=b"\xe0\x80") == b"\x00" + DesfireCard.ats
    assert host.ask(0x42, data=b"\x02" + _SELECT) == b"\x00\x02\x90\x00"
    assert host.ask(0x42, data=b"\xb3") == b"\x00\xa2"
    assert host.ask(0x42, data=b"\xc2") == b"\x00\xc2"
    assert host.ask(0x42, data=b"\x03" + _SELECT) == b"\x01"


def test_nobody_answers_a_raw_frame_within_the_time_that_was_set(host: Host) -> None:
    host.ask(0x32, 2, 0, 0x0B, 11)
    begun_ms = host.now_ms
    assert host.ask(0x42, data=b"\xe0\x80") == b"\x01"
    assert host.now_ms - begun_ms == 102


def test_a_frame_of_another_kind_of_card_is_not_answered(host: Host) -> None:
    _listed(host, tells_ats=False)
    host.ask(0x08, 0x63, 0x02, 0x83)
    assert host.ask(0x06, 0x63, 0x02) == b"\x83"
    assert host.ask(0x42, data=b"\xe0\x80") == b"\x01"
    host.ask(0x08, 0x63, 0x02, 0x80)
    assert host.ask(0x42, data=b"\xe0\x80") == b"\x00" + DesfireCard.ats


def test_a_card_is_forgotten_when_the_field_goes_off(host: Host) -> None:
    _listed(host)
    assert host.ask(0x00, 6) == b"\x00"
    host.ask(0x32, 1, 2)
    assert host.ask(0x00, 6) == b"\x01"
    assert host.ask(0x40, 1, data=_SELECT) == b"\x27"
    assert host.ask(0x54, 1) == b"\x27"


def test_a_command_may_come_in_parts(host: Host) -> None:
    _listed(host)
    assert host.ask(0x54, 1) == b"\x00"
    assert host.ask(0x40, 0x41, data=_SELECT[:6]) == b"\x00"
    assert host.ask(0x40, 0x01, data=_SELECT[6:]) == b"\x00\x90\x00"
    assert host.ask(0x44, 1) == b"\x00"
    assert host.ask(0x40, 1, data=_SELECT) == b"\x27"


@pytest.mark.parametrize(
    "command", [b"\x32\x05\x01", b"\x32", b"\x32\x77\x01", b"\x10\x09", b"\x06\x63", b"\x08\x63\x02"]
)
def test_a_malformed_setting_is_answered_with_an_error_frame(host: Host, command: bytes) -> None:
    host.start(data=command)
    assert host.chip.data_to_send(host.now_ms + 1) == _ERROR_FRAME


def test_memory_and_pins_are_in_order(host: Host) -> None:
    assert (host.ask(0x00, 1), host.ask(0x00, 2)) == (b"\x00", b"\x00")
    assert (host.ask(0x0C), host.ask(0x0E, 0, 0)) == (b"\x00\x00\x00", b"")
    assert host.ask(0x10, 7) == b""
    assert host.ask(0x06, 0x63, 0x39) == b"\x26"


# The chip as a card for another reader.

_PARAMETERS = b"\x01\x04\x03\x51\x4c\x01\x20" + bytes(18) + bytes(10) + b"\x00\x00"
_LEVEL = bytes.fromhex("08514c0114")


def _selected(host: Host) -> None:
    """Let a host offer a card, and another reader select it."""
    host.start(0x8C, data=_PARAMETERS)
    assert host.wait() is None
    for frame, answer in ((b"\x26", b"\x04\x03"), (b"\x93\x20", _LEVEL), (b"\x93\x70" + _LEVEL, b"\x20")):
        assert host.chip.hear(frame, host.now_ms) == [answer]
    assert host.wait() is None


def test_another_reader_finds_the_chip_as_a_card_and_the_host_answers_it(host: Host) -> None:
    _selected(host)
    assert host.chip.hear(b"\xe0\x80", host.now_ms) == []
    assert host.wait() == b"\x8d\x00\xe0\x80"
    assert host.ask(0x90, data=b"\x05\x78\x80\x70\x02") == b"\x00"
    assert host.chip.say() == [b"\x05\x78\x80\x70\x02"]
    host.start(0x88)
    assert host.wait() is None
    host.chip.hear(b"\x02ab", host.now_ms)
    assert host.wait() == b"\x89\x00\x02ab"


def test_what_was_said_before_the_host_listened_is_kept_for_it(host: Host) -> None:
    _selected(host)
    host.chip.hear(b"\xe0\x80", host.now_ms)
    host.wait()
    host.chip.hear(b"\x02ab", host.now_ms)
    assert host.ask(0x88) == b"\x00\x02ab"


def test_a_host_is_told_that_the_other_readers_field_is_gone(host: Host) -> None:
    _selected(host)
    host.chip.hear(b"\xe0\x80", host.now_ms)
    host.wait()
    host.start(0x88)
    host.chip.hear(None, host.now_ms)
    assert host.wait() == b"\x89\x29"
    assert host.chip.hear(b"\x02ab", host.now_ms) == []


def test_a_chip_that_is_no_card_is_not_found(host: Host) -> None:
    assert host.chip.hear(b"\x26", host.now_ms) == []
    assert host.ask(0x8C, 1, 2, 3) == b"\x10"


_COMMANDS = (
    0,
    2,
    4,
    6,
    8,
    0x0C,
    0x0E,
    0x10,
    0x12,
    0x14,
    0x16,
    0x32,
    0x40,
    0x42,
    0x44,
    0x4A,
    0x52,
    0x54,
    0x88,
    0x8C,
    0x90,
    0x99,
)


@given(st.lists(st.tuples(st.sampled_from(_COMMANDS), st.binary(max_size=40)), max_size=12), st.binary(max_size=40))
def test_no_command_whatever_brings_the_chip_down(commands: list[tuple[int, bytes]], heard: bytes) -> None:
    host = Host()
    host.chip.present(_bank_card(), host.now_ms)
    for code, parameters in commands:
        host.start(code, data=parameters)
        host.chip.hear(heard, host.now_ms)
        host.now_ms += 100_000
        host.chip.data_to_send(host.now_ms)
    host.chip.receive_data(encode_frame(b"\xd4"), host.now_ms)
    assert host.ask(0x02)[0] == 0x32
