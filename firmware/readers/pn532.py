"""The PN532 as a reader of cards (user manual UM0701-02): conversations with the chip, and a thin driver over a port.

A conversation is a generator that yields a command and is sent the chip's answer. The chip waits for cards by itself, so
an idle validator exchanges no bytes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.readers.pn532_frames import ACK, CHIP_TO_HOST, HOST_TO_CHIP, FrameDecoder, encode_frame
from firmware.readers.reader import MediumGone, ReaderFault, Target
from protocol.compat import const

if TYPE_CHECKING:
    from collections.abc import Generator

    from firmware.boards.board import Port
    from firmware.loop import Loop
    from protocol.cards.emv import BankCardRead
    from protocol.cards.emv_terminal import Terminal

    Conversation = Generator[bytes, bytes, bytes]

_WAKE_UP = b"\x55\x55\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
_SAM_CONFIGURATION = const(0x14)
_GET_FIRMWARE_VERSION = const(0x02)
_RF_CONFIGURATION = const(0x32)
_IN_LIST_PASSIVE_TARGET = const(0x4A)
_IN_DATA_EXCHANGE = const(0x40)
_IN_RELEASE = const(0x52)
_CHIP = const(0x32)
_RETRIES_ITEM = const(5)
_FOREVER = const(0xFF)
_SAK_ISO_DEP = const(0x20)
_STATUS_MASK = const(0x3F)
_ANSWER_MS = const(1000)
_CARD_MS = const(1500)
_PRESENCE_MS = const(120)


def configure() -> Conversation:
    """Wake the chip and let it wait for cards without end."""
    version = yield bytes((_GET_FIRMWARE_VERSION,))
    if version[:1] != bytes((_CHIP,)):
        raise ReaderFault("the chip is no PN532")
    yield bytes((_SAM_CONFIGURATION, 1, 0, 1))
    return (yield bytes((_RF_CONFIGURATION, _RETRIES_ITEM, 0xFF, 0x01, _FOREVER)))


def set_patience(retries: int) -> Conversation:
    """Set how often the chip looks for a card before it says that there is none; 255 for without end."""
    return (yield bytes((_RF_CONFIGURATION, _RETRIES_ITEM, 0xFF, 0x01, retries)))


def list_cards() -> Generator[bytes, bytes, Target | None]:
    """Look for up to two cards at 106 kbit/s type A."""
    answer = yield bytes((_IN_LIST_PASSIVE_TARGET, 2, 0))
    if not answer or not answer[0]:
        return None
    if len(answer) < 6 or len(answer) < 6 + answer[5]:
        raise ReaderFault("the chip describes a card in too few bytes")
    return Target(answer[6 : 6 + answer[5]], answer[0], bool(answer[4] & _SAK_ISO_DEP))


def data_exchange(command: bytes) -> Conversation:
    """Send an APDU to the first card."""
    answer = yield bytes((_IN_DATA_EXCHANGE, 1)) + command
    if not answer or answer[0] & _STATUS_MASK:
        raise MediumGone("the card does not answer")
    return answer[1:]


def release_all() -> Conversation:
    return (yield bytes((_IN_RELEASE, 0)))


class Pn532:
    """The driver: frames over a port, on the loop's time."""

    is_certified = False

    def __init__(self, port: Port, loop: Loop) -> None:
        self._port = port
        self._loop = loop
        self._decoder = FrameDecoder()

    async def start(self) -> None:
        """Wake and configure the chip.

        Raises:
            ReaderFault: it does not answer.
        """
        self._port.read()
        self._decoder = FrameDecoder()
        self._port.write(_WAKE_UP)
        await self._run(configure(), _ANSWER_MS)

    async def wait_for_card(self) -> Target:
        """Wait, without end, until a card is in the field."""
        while True:
            target = await self._run(list_cards(), None)
            if target is not None:
                return target  # type: ignore[no-any-return]

    async def exchange(self, command: bytes) -> bytes:
        """Send a command APDU and return the response.

        Raises:
            MediumGone: the card does not answer.
            ReaderFault: the chip does not.
        """
        return await self._run(data_exchange(command), _CARD_MS)  # type: ignore[no-any-return]

    async def read_bank_card(self, terminal: Terminal) -> BankCardRead:
        """Nobody asks this of a chip that carries APDUs and no more."""
        raise NotImplementedError

    async def release(self) -> None:
        """End the conversation, and wait until no card is in the field, so that none is read twice."""
        await self._run(release_all(), _ANSWER_MS)
        await self._run(set_patience(1), _ANSWER_MS)
        while await self._run(list_cards(), _ANSWER_MS) is not None:
            await self._run(release_all(), _ANSWER_MS)
            await self._loop.sleep_ms(_PRESENCE_MS)
        await self._run(set_patience(_FOREVER), _ANSWER_MS)

    async def _run(self, conversation, timeout_ms: int | None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        """Hold a conversation with the chip and return its result."""
        answer = None
        try:
            while True:
                command = conversation.send(answer)
                answer = await self._command(command, timeout_ms)
        except StopIteration as end:
            return end.value

    async def _command(self, command: bytes, timeout_ms: int | None) -> bytes:
        self._port.write(encode_frame(bytes((HOST_TO_CHIP,)) + command))
        await self._frame(self._loop.now_ms() + _ANSWER_MS, acknowledged=False)
        until_ms = None if timeout_ms is None else self._loop.now_ms() + timeout_ms
        data = await self._frame(until_ms, acknowledged=True)
        if data[:2] != bytes((CHIP_TO_HOST, command[0] + 1)):
            raise ReaderFault("the chip answers another command")
        return data[2:]

    async def _frame(self, until_ms: int | None, acknowledged: bool) -> bytes:
        """Wait for the chip's ACK, or for its answer."""
        while True:
            frame = self._decoder.next_frame()
            if frame is not None and frame.is_ack != acknowledged and not frame.is_nack:
                return frame.data
            if frame is not None:
                continue
            if not await self._loop.port_ready(self._port, until_ms):
                self._port.write(ACK)  # makes the chip give up what it is doing
                raise ReaderFault("the chip does not answer")
            self._decoder.receive(self._port.read())
            # Once bytes have come the rest must follow. If it does not they were noise, and what the chip said is lost.
            latest_ms = self._loop.now_ms() + _ANSWER_MS
            until_ms = latest_ms if until_ms is None else min(until_ms, latest_ms)
