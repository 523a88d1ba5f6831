"""The PN532 driver against a scripted chip: each command word for word, both rates, and what it makes of silence and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.loop import Loop
from firmware.readers.pn532 import RATE_FAST, RATE_SLOW, Pn532, list_cards, response_of
from firmware.readers.pn532_frames import ACK, NACK, FrameDecoder, encode_frame
from firmware.readers.reader import MediumGone, ReaderFault
from tests.firmware.bench_board import BenchBoard, run_for, run_to_end
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Script = list[tuple[bytes, Any]]

VERSION: Script = [(b"\x02", b"\x32\x01\x06\x07")]
SILENT: Script = [(b"\x02", None)]
TO_FAST: Script = [(b"\x10\x07", b"")]
TO_SLOW: Script = [(b"\x10\x04", b"")]
SETTINGS: Script = [(b"\x14\x01\x00\x01", b""), (b"\x32\x05\xff\x01\xff", b"")]
CONFIGURING = VERSION + TO_FAST + VERSION + SETTINGS
AGAIN = VERSION + SETTINGS
CARD = b"\x01\x01\x03\x44\x20\x07\x04\x01\x02\x03\x04\x05\x06\x06\x75\x77\x81\x02\x80"
LISTING = (b"\x4a\x02\x00", CARD)
FASTER = (b"\x4e\x01\x02\x02", b"\x00")


class ScriptedChip:
    """A chip that expects commands in order.

    Attributes:
        script: commands and answers to come; None for no answer, a list for raw bytes.
        heard: commands that came; `abort` for an ACK of the host.
        rates: that the host has changed to, and after how many commands.
    """

    def __init__(self, script: Script) -> None:
        self.board = BenchBoard()
        self.loop = Loop(self.board)
        self.reader = Pn532(self.board.nfc, self.loop)
        self.script = script
        self.heard: list[bytes] = []
        self._decoder = FrameDecoder()
        self.rates: list[tuple[int, int]] = []
        self.board.nfc.on_write = self._hear
        self.board.nfc.on_rate = lambda rate: self.rates.append((rate, len(self.heard)))

    def _hear(self, data: bytes) -> None:
        self._decoder.receive(data)
        frame = self._decoder.next_frame()
        while frame is not None:
            self._answer(b"abort" if frame.is_ack else frame.data[1:])
            frame = self._decoder.next_frame()

    def _answer(self, command: bytes) -> None:
        self.heard.append(command)
        if command == b"abort":
            return
        expected, answer = self.script.pop(0)
        assert command == expected, command
        if isinstance(answer, list):
            for piece in answer:
                self.board.nfc.give(piece)
        elif answer is not None:
            self.board.nfc.give(ACK)
            frame = encode_frame(b"\xd5" + bytes((command[0] + 1,)) + answer)
            self.board.after(3, lambda: self.board.nfc.give(frame))

    def run(self, task: Any) -> Any:  # noqa: ANN401
        result = self.run_on(task)
        assert self.script == []
        return result

    def run_on(self, task: Any) -> Any:  # noqa: ANN401
        """Run a task behind which more of the script is to come."""
        return run_to_end(self.board, self.loop, task)

    def fault(self, make: Callable[[], Any]) -> str:
        return refusal(ReaderFault, lambda: self.run(make()))


def test_a_start_wakes_and_configures_the_chip() -> None:
    chip = ScriptedChip(list(CONFIGURING))
    chip.board.nfc.give(b"left over")
    chip.run(chip.reader.start())
    assert chip.board.nfc.written.startswith(b"\x55\x55\x00\x00")


def test_the_line_is_made_faster_once_the_chip_s_answer_is_acknowledged() -> None:
    chip = ScriptedChip(list(CONFIGURING))
    chip.run(chip.reader.start())
    assert chip.heard[:4] == [b"\x02", b"\x10\x07", b"abort", b"\x02"]
    assert chip.rates == [(RATE_FAST, 3)], "its ACK is the last at the old rate"


def test_a_chip_that_was_not_reset_is_found_at_the_fast_rate() -> None:
    chip = ScriptedChip(SILENT + AGAIN)
    chip.run(chip.reader.start())
    assert [rate for rate, _ in chip.rates] == [RATE_FAST]
    assert chip.board.now_ms < 300


def test_a_chip_that_was_reset_is_found_at_the_slow_rate_and_made_fast_again() -> None:
    chip = ScriptedChip(CONFIGURING + SILENT + CONFIGURING)
    chip.run_on(chip.reader.start())
    chip.run(chip.reader.start())
    assert [rate for rate, _ in chip.rates] == [RATE_FAST, RATE_SLOW, RATE_FAST]


def test_a_chip_that_never_speaks_at_the_new_rate_is_left_at_the_old_one() -> None:
    failing = VERSION + TO_FAST + SILENT
    chip = ScriptedChip((failing + SILENT) * 3 + AGAIN)
    for _ in range(3):
        assert refusal(ReaderFault, lambda: chip.run_on(chip.reader.start())) == "the chip does not answer"
    chip.run(chip.reader.start())
    assert chip.rates[-1][0] == RATE_SLOW


def test_a_line_that_fails_again_and_again_at_the_fast_rate_is_made_slow() -> None:
    chip = ScriptedChip(CONFIGURING + AGAIN + AGAIN + VERSION + TO_SLOW + AGAIN)
    for _ in range(3):
        chip.run_on(chip.reader.start())
    chip.run(chip.reader.start())
    assert [rate for rate, _ in chip.rates] == [RATE_FAST, RATE_SLOW]


def test_a_card_that_was_served_brings_trust_in_the_fast_rate_back() -> None:
    gone: Script = [
        (b"\x52\x00", b"\x00"),
        (b"\x32\x05\xff\x01\x01", b""),
        (b"\x4a\x02\x00", b"\x00"),
        SETTINGS[1],
    ]
    chip = ScriptedChip(CONFIGURING + AGAIN + AGAIN + gone + AGAIN)
    for _ in range(3):
        chip.run_on(chip.reader.start())
    chip.run_on(chip.reader.release())
    chip.run(chip.reader.start())
    assert [rate for rate, _ in chip.rates] == [RATE_FAST]


def test_a_chip_that_refuses_the_rate_is_a_fault_and_then_left_as_it_is() -> None:
    refused: Script = [(b"\x10\x07", [ACK, b"\x00\x00\xff\x01\xff\x7f\x81\x00"])]
    refusing = VERSION + refused
    chip = ScriptedChip(refusing * 3 + AGAIN)
    for _ in range(3):
        assert refusal(ReaderFault, lambda: chip.run_on(chip.reader.start())) == "the chip answers another command"
    chip.run(chip.reader.start())
    assert chip.rates == []


def test_another_chip_is_no_reader_of_ours() -> None:
    chip = ScriptedChip([(b"\x02", b"\x07\x01\x06\x07")])
    assert chip.fault(chip.reader.start) == "the chip is no PN532"


def test_a_chip_that_is_silent_at_both_rates_is_a_fault_in_half_a_second() -> None:
    chip = ScriptedChip(SILENT + SILENT)
    assert chip.fault(chip.reader.start) == "the chip does not answer"
    assert chip.board.now_ms == 400
    assert chip.heard == [b"\x02", b"abort", b"\x02", b"abort"]
    assert [rate for rate, _ in chip.rates] == [RATE_FAST, RATE_SLOW]


def test_a_chip_that_acknowledges_and_is_silent_is_a_fault() -> None:
    chip = ScriptedChip([(b"\x02", [ACK])] * 2)
    assert chip.fault(chip.reader.start) == "the chip does not answer"
    assert chip.heard == [b"\x02", b"abort", b"\x02", b"abort"]


def test_an_error_frame_and_another_answer_are_faults() -> None:
    for answer in (b"\x00\x00\xff\x01\xff\x7f\x81\x00", encode_frame(b"\xd5\x05\x00"), encode_frame(b"\xd4\x03\x32")):
        chip = ScriptedChip([(b"\x4a\x02\x00", [ACK, answer])])
        assert chip.fault(chip.reader.wait_for_card) == "the chip answers another command"


def test_noise_and_a_nack_are_passed_over() -> None:
    answer = encode_frame(b"\xd5\x03\x32\x01\x06\x07")
    for pieces in (
        [b"\x12\x34", ACK, b"\x00", answer],
        [ACK[:3], ACK[3:], answer[:5], answer[5:]],
        [NACK, ACK, ACK, answer],
    ):
        script = list(CONFIGURING)
        script[0] = (b"\x02", pieces)
        chip = ScriptedChip(script)
        chip.run(chip.reader.start())


def test_the_chip_waits_for_a_card_by_itself() -> None:
    chip = ScriptedChip([(b"\x4a\x02\x00", [ACK]), FASTER])
    frame = encode_frame(b"\xd5\x4b" + CARD)
    chip.board.after(290_000, lambda: chip.board.nfc.give(frame))
    target = chip.run(chip.reader.wait_for_card())
    assert (target.uid, target.count, target.speaks_apdu) == (bytes.fromhex("04010203040506"), 1, True)
    assert chip.heard == [b"\x4a\x02\x00", FASTER[0]], "an idle reader is not disturbed"


def test_a_chip_that_waits_for_cards_is_asked_now_and_then_whether_it_does() -> None:
    waiting: Script = [(b"\x4a\x02\x00", [ACK])]
    chip = ScriptedChip(waiting + VERSION + waiting + VERSION + [LISTING, FASTER])
    assert chip.run(chip.reader.wait_for_card()).count == 1
    assert chip.heard.count(b"abort") == 2
    assert 600_000 <= chip.board.now_ms < 601_000


def test_a_chip_that_was_reset_while_nobody_came_is_a_fault() -> None:
    waiting: Script = [(b"\x4a\x02\x00", [ACK])]
    chip = ScriptedChip(waiting + SILENT)
    assert chip.fault(chip.reader.wait_for_card) == "the chip does not answer"
    assert chip.board.now_ms == 301_000


def test_an_answer_that_was_lost_in_noise_does_not_end_the_reader() -> None:
    waiting: Script = [(b"\x4a\x02\x00", [ACK])]
    chip = ScriptedChip(waiting + VERSION + [LISTING, FASTER])
    chip.board.after(60_000, lambda: chip.board.nfc.give(b"\x5a\x5a\xa5"))
    assert chip.run(chip.reader.wait_for_card()).count == 1
    assert 61_000 <= chip.board.now_ms < 61_100


def test_a_card_that_is_no_desfire_or_not_alone_stays_at_the_rate_at_which_it_was_found() -> None:
    bank_card = b"\x01\x01\x00\x04\x20\x04\x08\xaa\xbb\xcc\x05\x78\x80\x70\x02"
    for listed in (bank_card, b"\x02" + CARD[1:], CARD[:-1] + b"\x81"):
        chip = ScriptedChip([(b"\x4a\x02\x00", listed)])
        chip.run(chip.reader.wait_for_card())


def test_a_card_that_does_not_take_the_faster_rate_is_served_as_it_is() -> None:
    chip = ScriptedChip([LISTING, (FASTER[0], b"\x01"), (b"\x40\x01x", b"\x00\x90\x00")])
    assert chip.run_on(chip.reader.wait_for_card()).count == 1
    assert chip.run(chip.reader.exchange(b"x")) == b"\x90\x00"


def test_a_card_that_speaks_no_apdu_and_two_cards_are_told_apart() -> None:
    chip = ScriptedChip([(b"\x4a\x02\x00", b"\x01\x01\x00\x04\x08\x04\xaa\xbb\xcc\xdd")])
    target = chip.run(chip.reader.wait_for_card())
    assert (target.uid, target.speaks_apdu) == (b"\xaa\xbb\xcc\xdd", False)
    chip = ScriptedChip([(b"\x4a\x02\x00", b"\x02" + CARD[1:])])
    assert chip.run(chip.reader.wait_for_card()).count == 2


def test_a_card_described_in_too_few_bytes_is_a_fault() -> None:
    for size in range(1, 13):
        steps = list_cards()
        next(steps)
        assert refusal(ReaderFault, steps.send, CARD[:size]), size
    for none in (b"", b"\x00"):
        chip = ScriptedChip([(b"\x4a\x02\x00", none), LISTING, FASTER])
        assert chip.run(chip.reader.wait_for_card()).count == 1


def test_an_exchange_carries_command_and_response() -> None:
    chip = ScriptedChip([(b"\x40\x01\x90\x60\x00\x00\x00", b"\x00\x01\x02\x91\x00")])
    assert chip.run(chip.reader.exchange(b"\x90\x60\x00\x00\x00")) == b"\x01\x02\x91\x00"


def test_what_is_done_meanwhile_is_done_once_the_command_is_on_its_way() -> None:
    chip = ScriptedChip([(b"\x40\x01x", b"\x00\x90\x00")])
    seen: list[Any] = []
    chip.run(chip.reader.exchange(b"x", lambda: seen.append((list(chip.heard), chip.board.now_ms))))
    assert seen == [([b"\x40\x01x"], 0)]


def test_a_card_that_is_gone_is_told_apart_from_a_chip_that_is() -> None:
    for answer in (b"\x01", b"\x27", b"\x0b", b""):
        assert refusal(MediumGone, response_of, b"\xd5\x41" + answer)
    chip = ScriptedChip([(b"\x40\x01x", [ACK])])
    assert chip.fault(lambda: chip.reader.exchange(b"x")) == "the chip does not answer"
    assert chip.board.now_ms == 1_500


def test_a_release_waits_until_the_card_has_gone() -> None:
    chip = ScriptedChip(
        [
            (b"\x52\x00", b"\x00"),
            (b"\x32\x05\xff\x01\x01", b""),
            LISTING,
            (b"\x52\x00", b"\x00"),
            LISTING,
            (b"\x52\x00", b"\x00"),
            (b"\x4a\x02\x00", b"\x00"),
            (b"\x32\x05\xff\x01\xff", b""),
        ]
    )
    chip.run(chip.reader.release())
    assert 240 <= chip.board.now_ms <= 300


def test_a_late_answer_does_not_confuse_the_next_start() -> None:
    stuck: Script = [(b"\x4a\x02\x00", None)]
    chip = ScriptedChip(stuck + SILENT + CONFIGURING)

    async def task() -> None:
        try:
            await chip.reader.wait_for_card()
        except ReaderFault:
            chip.board.nfc.give(ACK + encode_frame(b"\xd5\x4b" + CARD))
            await chip.reader.start()

    chip.run(task())
    run_for(chip.board, chip.loop, 10)
