"""The emulated chip: by the firmware's own codec, and by nfcpy over a pseudo-terminal, a host that nobody here wrote."""

from __future__ import annotations

import os
import pty
import select
import threading
import time
import tty
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from firmware.readers.pn532_frames import ACK, FrameDecoder, encode_frame
from protocol.cards import card_layout as layout
from protocol.cards.card_layout import Environment
from simulator.desfire_card import DesfireCard
from simulator.emv_card import EmvCard
from simulator.pn532_chip import Pn532Chip

if TYPE_CHECKING:
    from collections.abc import Iterator

_SELECT = b"\x00\xa4\x04\x00" + bytes((len(layout.DF_NAME),)) + layout.DF_NAME + b"\x00"
_ERROR_FRAME = b"\x00\x00\xff\x01\xff\x7f\x81\x00"


def _transit_card() -> DesfireCard:
    masters = {f"transit_{name}_master": bytes(16) for name in ("read", "debit", "mac")}
    return DesfireCard.personalise(bytes.fromhex("04112233445566"), Environment(b"JQ000001", 1, 1, 1), 1000, masters)


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


def test_it_acknowledges_an_unknown_command_and_answers_with_an_error_frame(host: Host) -> None:
    host.start(0x8C)
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


class OnATerminal:
    """A chip on a pseudo-terminal in real time.

    Attributes:
        path: of the terminal.
    """

    def __init__(self) -> None:
        self.chip = Pn532Chip()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.is_set():
            if select.select([self._master], [], [], 0.002)[0]:
                self.chip.receive_data(os.read(self._master, 4096), self._now_ms())
            while data := self.chip.data_to_send(self._now_ms()):
                os.write(self._master, data)

    @staticmethod
    def _now_ms() -> int:
        return time.monotonic_ns() // 1_000_000

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def terminal() -> Iterator[OnATerminal]:
    terminal = OnATerminal()
    yield terminal
    terminal.close()


@pytest.fixture
def nfcpy(terminal: OnATerminal) -> Iterator[Any]:
    """Nfcpy's driver of this chip; what it warns of is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nfc.clf  # noqa: PLC0415 - importing it warns
        import nfc.clf.pn532  # noqa: PLC0415
        import nfc.clf.transport  # noqa: PLC0415

        device = nfc.clf.pn532.init(nfc.clf.transport.TTY(terminal.path))
        yield device
        device.close()


def test_nfcpy_takes_it_for_a_pn532_and_senses_a_card(terminal: OnATerminal, nfcpy: Any) -> None:  # noqa: ANN401 - untyped
    import nfc.clf  # noqa: PLC0415

    assert nfcpy.chipset_name == "PN532v1.6"
    wanted = nfc.clf.RemoteTarget("106A")
    assert nfcpy.sense_tta(wanted) is None
    card = _transit_card()
    terminal.chip.present(card, 0)
    found = nfcpy.sense_tta(wanted)
    assert (bytes(found.sdd_res), bytes(found.sel_res)) == (card.uid, b"\x20")
    assert bytes(found.sens_res) == b"\x44\x03"
    assert nfcpy.chipset.in_data_exchange(bytearray(_SELECT), 1.0) == (b"\x90\x00", False)
    terminal.chip.remove(card)
    assert nfcpy.sense_tta(wanted) is None
