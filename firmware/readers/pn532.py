"""The PN532 as a reader of cards (user manual UM0701-02): conversations with the chip, and a thin driver over a port.

A conversation is a generator that yields a command and is sent the chip's answer. The chip waits for cards by itself; every five
minutes it is asked whether it still does: a chip that was reset waits for nothing, and would never say so.

The line begins at 115 200 bit/s, at which it takes as long as the air. So the chip is asked for 921 600 (section 7.2.9): it
answers at the old rate, changes when the host has acknowledged that, and keeps the new rate until it is reset. Either side may
have been reset, so a start looks for the chip at both rates. Each start costs some trust in the fast rate, and a card that was
served brings it back: a line that cannot carry it, or a chip that does not change, is left at the slow one.

In the air a DESFire is spoken to at 424 kbit/s. That must be asked for before anything else is said, so it is known by its answer
to select alone. Every other card stays at 106: EMV Contactless Book D knows no other rate, and a bank card need not either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.loop import Wait
from firmware.readers.pn532_frames import ACK, CHIP_TO_HOST, HOST_TO_CHIP, FrameDecoder, encode_frame
from firmware.readers.reader import MediumGone, ReaderFault, Target
from protocol.compat import const

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from firmware.boards.board import Uart
    from firmware.loop import Loop
    from firmware.readers.reader import ReadsBankCards

    Conversation = Generator[bytes, bytes, bytes]

_WAKE_UP = b"\x55\x55\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
_SAM_CONFIGURATION = const(0x14)
_GET_FIRMWARE_VERSION = const(0x02)
_RF_CONFIGURATION = const(0x32)
_IN_LIST_PASSIVE_TARGET = const(0x4A)
_IN_DATA_EXCHANGE = const(0x40)
_IN_RELEASE = const(0x52)
_IN_PSL = const(0x4E)
_SET_SERIAL_BAUDRATE = const(0x10)
_CHIP = const(0x32)
_RETRIES_ITEM = const(5)
_FOREVER = const(0xFF)
_SAK_ISO_DEP = const(0x20)
# How a DESFire answers to be selected (data sheet MF2DLHX0); TA(1) 77 says that it is quicker when asked.
_DESFIRE_ATS = b"\x06\x75\x77\x81\x02\x80"
_KBITS_424 = const(2)
_DIRECTION = bytes((HOST_TO_CHIP,))
_HEAD_BYTES = const(2)
_TO_FIRST_CARD = bytes((_IN_DATA_EXCHANGE, 1))
_STATUS_MASK = const(0x3F)
RATE_SLOW = const(115_200)
RATE_FAST = const(921_600)
_BAUDRATE_CODES = {RATE_SLOW: 4, RATE_FAST: 7}
_TRUST = const(3)
_PROBE_MS = const(200)
_RATE_CHANGE_MS = const(2)
_LOOK_AGAIN_MS = const(300_000)
_ANSWER_MS = const(1000)
_CARD_MS = const(1500)
_PRESENCE_MS = const(120)


def tell_version() -> Conversation:
    """Return the chip's kind and version."""
    return (yield bytes((_GET_FIRMWARE_VERSION,)))


def change_rate(bits_per_s: int) -> Conversation:
    """Ask for another rate of the line; the chip takes it once its answer is acknowledged."""
    return (yield bytes((_SET_SERIAL_BAUDRATE, _BAUDRATE_CODES[bits_per_s])))


def configure() -> Conversation:
    """Let the chip wait for cards without end."""
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
    uid_end = 6 + answer[5]
    speaks_apdu = bool(answer[4] & _SAK_ISO_DEP)
    return Target(answer[6:uid_end], answer[0], speaks_apdu, answer[uid_end:] if answer[0] == 1 else b"")


def speed_up() -> Conversation:
    """Have the first card speak faster in the air, both ways; one that does not answer goes on as before."""
    return (yield bytes((_IN_PSL, 1, _KBITS_424, _KBITS_424)))


def response_of(answer: bytes) -> bytes:
    """Return a card's response, by the chip's whole answer to InDataExchange."""
    if len(answer) <= _HEAD_BYTES or answer[_HEAD_BYTES] & _STATUS_MASK:
        raise MediumGone("the card does not answer")
    return answer[_HEAD_BYTES + 1 :]


def release_all() -> Conversation:
    return (yield bytes((_IN_RELEASE, 0)))


class Silent(ReaderFault):
    """It does not answer, or not in time."""


class Pn532:
    """The driver: frames over a port, on the loop's time."""

    def __init__(self, port: Uart, loop: Loop) -> None:
        self.certified: ReadsBankCards | None = None
        self._port = port
        self._loop = loop
        self._decoder = FrameDecoder()
        self._rate = RATE_SLOW
        self._trust = _TRUST

    async def start(self) -> None:
        """Find and configure the chip.

        Raises:
            ReaderFault: it does not answer.
        """
        version = await self._wake()
        if version[:1] != bytes((_CHIP,)):
            raise ReaderFault("the chip is no PN532")
        wanted = RATE_FAST if self._trust else RATE_SLOW
        self._trust = max(0, self._trust - 1)
        if self._rate != wanted:
            await self._run(change_rate(wanted), _ANSWER_MS)
            self._port.write(ACK)
            self._speak_at(wanted)
            await self._loop.sleep_ms(_RATE_CHANGE_MS)
            await self._run(tell_version(), _PROBE_MS)
        await self._run(configure(), _ANSWER_MS)

    async def _wake(self) -> bytes:
        """Look for the chip at both rates, the one of before first, and return its version."""
        for last in (False, True):
            self._port.read()
            self._decoder = FrameDecoder()
            self._port.write(_WAKE_UP)
            try:
                return await self._run(tell_version(), _PROBE_MS)  # type: ignore[no-any-return]
            except ReaderFault:
                self._speak_at(RATE_SLOW if self._rate == RATE_FAST else RATE_FAST)
                if last:
                    raise
        raise AssertionError

    def _speak_at(self, rate: int) -> None:
        self._port.set_rate(rate)
        self._rate = rate

    async def wait_for_card(self) -> Target:
        """Wait, without end, until a card is in the field.

        Raises:
            ReaderFault: the chip has gone, or was reset.
        """
        while True:
            try:
                target = await self._run(list_cards(), _LOOK_AGAIN_MS)
            except Silent:
                await self._run(tell_version(), _ANSWER_MS)
                continue
            if target is not None:
                if target.ats == _DESFIRE_ATS:
                    await self._run(speed_up(), _ANSWER_MS)
                return target  # type: ignore[no-any-return]

    async def exchange(self, command: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        """Send a command APDU and return the response; while the card is at work, do what there is to do `meanwhile`.

        Raises:
            MediumGone: the card does not answer.
            ReaderFault: the chip does not.
        """
        return response_of(await self._command(_TO_FIRST_CARD, command, _CARD_MS, meanwhile))

    async def release(self) -> None:
        """End the conversation, and wait until no card is in the field, so that none is read twice."""
        await self._run(release_all(), _ANSWER_MS)
        await self._run(set_patience(1), _ANSWER_MS)
        while await self._run(list_cards(), _ANSWER_MS) is not None:
            await self._run(release_all(), _ANSWER_MS)
            await self._loop.sleep_ms(_PRESENCE_MS)
        await self._run(set_patience(_FOREVER), _ANSWER_MS)
        self._trust = _TRUST

    async def _run(self, conversation, timeout_ms: int):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        """Hold a conversation with the chip and return its result."""
        answer = None
        try:
            while True:
                answer = (await self._command(conversation.send(answer), b"", timeout_ms))[_HEAD_BYTES:]
        except StopIteration as end:
            return end.value

    async def _command(
        self, command: bytes, rest: bytes, timeout_ms: int, meanwhile: Callable[[], None] | None = None
    ) -> bytes:
        """Send a command, in two pieces, wait for the chip's ACK and then for its answer, and return that whole."""
        port, loop = self._port, self._loop
        port.write(encode_frame(_DIRECTION + command, rest))
        if meanwhile is not None:
            meanwhile()
        until_ms = loop.now_ms() + min(timeout_ms, _ANSWER_MS)
        is_acknowledged = False
        while True:
            frame = self._decoder.next_frame()
            if frame is None:
                if not port.has_data():
                    await Wait(port, until_ms)
                if not port.has_data():
                    port.write(ACK)  # makes the chip give up what it is doing
                    raise Silent("the chip does not answer")
                self._decoder.receive(port.read())
                # Once bytes have come the rest must follow. If it does not they were noise, and what the chip said is lost.
                until_ms = min(until_ms, loop.now_ms() + _ANSWER_MS)
            elif is_acknowledged and not frame.is_ack and not frame.is_nack:
                data = frame.data
                if len(data) < _HEAD_BYTES or data[0] != CHIP_TO_HOST or data[1] != command[0] + 1:
                    raise ReaderFault("the chip answers another command")
                return data
            elif frame.is_ack and not is_acknowledged:
                is_acknowledged = True
                until_ms = loop.now_ms() + timeout_ms
