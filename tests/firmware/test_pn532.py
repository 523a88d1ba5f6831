"""The PN532 driver against a scripted chip: each command word for word, and what it makes of silence and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.loop import Loop
from firmware.readers.pn532 import Pn532, data_exchange, list_cards
from firmware.readers.pn532_frames import ACK, NACK, FrameDecoder, encode_frame
from firmware.readers.reader import MediumGone, ReaderFault
from tests.firmware.bench_board import BenchBoard, run_for, run_to_end
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CONFIGURING: list[tuple[bytes, Any]] = [
    (b"\x02", b"\x32\x01\x06\x07"),
    (b"\x14\x01\x00\x01", b""),
    (b"\x32\x05\xff\x01\xff", b""),
]
CARD = b"\x01\x01\x03\x44\x20\x07\x04\x01\x02\x03\x04\x05\x06\x06\x75\x77\x81\x02\x80"
LISTING = (b"\x4a\x02\x00", CARD)


class ScriptedChip:
    """A chip that expects commands in order.

    Attributes:
        script: commands and answers to come; None for no answer, a list for raw bytes.
        heard: commands that came; `abort` for an ACK of the host.
    """

    def __init__(self, script: list[tuple[bytes, Any]]) -> None:
        self.board = BenchBoard()
        self.loop = Loop(self.board)
        self.reader = Pn532(self.board.nfc, self.loop)
        self.script = script
        self.heard: list[bytes] = []
        self._decoder = FrameDecoder()
        self.board.nfc.on_write = self._hear

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
        result = run_to_end(self.board, self.loop, task)
        assert self.script == []
        return result

    def fault(self, make: Callable[[], Any]) -> str:
        return refusal(ReaderFault, lambda: self.run(make()))


def test_a_start_wakes_and_configures_the_chip() -> None:
    chip = ScriptedChip(list(CONFIGURING))
    chip.board.nfc.give(b"left over")
    chip.run(chip.reader.start())
    assert chip.board.nfc.written.startswith(b"\x55\x55\x00\x00")


def test_another_chip_is_no_reader_of_ours() -> None:
    chip = ScriptedChip([(b"\x02", b"\x07\x01\x06\x07")])
    assert chip.fault(chip.reader.start) == "the chip is no PN532"


def test_a_chip_that_is_silent_is_a_fault_in_a_second() -> None:
    chip = ScriptedChip([(b"\x02", None)])
    assert chip.fault(chip.reader.start) == "the chip does not answer"
    assert chip.board.now_ms == 1_000
    assert chip.heard == [b"\x02", b"abort"]


def test_a_chip_that_acknowledges_and_is_silent_is_a_fault() -> None:
    chip = ScriptedChip([(b"\x02", [ACK])])
    assert chip.fault(chip.reader.start) == "the chip does not answer"
    assert chip.heard == [b"\x02", b"abort"]


def test_an_error_frame_and_another_answer_are_faults() -> None:
    for answer in (b"\x00\x00\xff\x01\xff\x7f\x81\x00", encode_frame(b"\xd5\x05\x00"), encode_frame(b"\xd4\x03\x32")):
        chip = ScriptedChip([(b"\x02", [ACK, answer])])
        assert chip.fault(chip.reader.start) == "the chip answers another command"


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
    chip = ScriptedChip([(b"\x4a\x02\x00", [ACK])])
    frame = encode_frame(b"\xd5\x4b" + CARD)
    chip.board.after(3_600_000, lambda: chip.board.nfc.give(frame))
    target = chip.run(chip.reader.wait_for_card())
    assert (target.uid, target.count, target.speaks_apdu) == (bytes.fromhex("04010203040506"), 1, True)
    assert chip.heard == [b"\x4a\x02\x00"], "an idle reader is not disturbed"


def test_an_answer_that_was_lost_in_noise_does_not_end_the_reader() -> None:
    chip = ScriptedChip([(b"\x4a\x02\x00", [ACK])])
    chip.board.after(3_600_000, lambda: chip.board.nfc.give(b"\x5a\x5a\xa5"))
    assert chip.fault(chip.reader.wait_for_card) == "the chip does not answer"
    assert chip.board.now_ms == 3_601_000


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
        chip = ScriptedChip([(b"\x4a\x02\x00", none), LISTING])
        assert chip.run(chip.reader.wait_for_card()).count == 1


def test_an_exchange_carries_command_and_response() -> None:
    chip = ScriptedChip([(b"\x40\x01\x90\x60\x00\x00\x00", b"\x00\x01\x02\x91\x00")])
    assert chip.run(chip.reader.exchange(b"\x90\x60\x00\x00\x00")) == b"\x01\x02\x91\x00"


def test_a_card_that_is_gone_is_told_apart_from_a_chip_that_is() -> None:
    for answer in (b"\x01", b"\x27", b"\x0b", b""):
        steps = data_exchange(b"x")
        next(steps)
        assert refusal(MediumGone, steps.send, answer)
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
    chip = ScriptedChip(list(CONFIGURING))
    chip.script.insert(0, (b"\x4a\x02\x00", None))

    async def task() -> None:
        try:
            await chip.reader.wait_for_card()
        except ReaderFault:
            chip.board.nfc.give(ACK + encode_frame(b"\xd5\x4b" + CARD))
            await chip.reader.start()

    chip.run(task())
    run_for(chip.board, chip.loop, 10)
