"""The NXP PN532 as an emulated chip: frames in, frames out, and a field into which virtual cards are put (UM0701-02).

A sans-IO session on virtual time. The air and a card's own work take declared milliseconds. It waits for cards as the chip does:
with endless retries, InListPassiveTarget answers only when a card comes. Commands by which other hosts set a chip up and test it
are answered, too; raw frames (InCommunicateThru) and the chip as a target are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from firmware.readers.pn532_frames import ACK, CHIP_TO_HOST, HOST_TO_CHIP, FrameDecoder, encode_frame
from simulator.virtual_card import TornAway

if TYPE_CHECKING:
    from collections.abc import Callable


class Card(Protocol):
    """What the field holds."""

    uid: bytes
    ats: bytes

    def process(self, apdu: bytes) -> bytes: ...

    def reset(self) -> None: ...


_FIRMWARE_VERSION = bytes((0x32, 0x01, 0x06, 0x07))
_TIMEOUT = 0x01
_NOT_ACTIVATED = 0x27
_ENDLESS = 0xFF
_ACTIVATION_MS = 6
_NO_CARD_MS = 5
_COMMAND_MS = 1
_AIR_BYTES_PER_MS = 11
_CARD_MS = 2
_TYPE_A_106 = 0
_AUTOMATIC_RATS = 0x10
_CIU_FIFO_DATA = b"\x63\x39"
_REQA = 0x26
_ERROR_FRAME = b"\x00\x00\xff\x01\xff\x7f\x81\x00"


class Pn532Chip:
    """One chip.

    Attributes:
        stuck: it takes commands and answers nothing, until it is woken.
        garble_next: its next answer is noise.
        commands: how many it has answered.
    """

    def __init__(self) -> None:
        self._decoder = FrameDecoder()
        self._field: list[Card] = []
        self._active: Card | None = None
        self._answers: list[tuple[int, bytes]] = []
        self._listing = False
        self._retries = _ENDLESS
        self._describes_ats = True
        self.stuck = False
        self.garble_next = False
        self.commands = 0

    # The field.

    def present(self, card: Card, now_ms: int, other: Card | None = None) -> None:
        """Put a card into the field, or two at the same moment."""
        for each in (card, other):
            if each is not None:
                each.reset()
                self._field.append(each)
        if self._listing:
            self._answer_listing(now_ms)

    def remove(self, card: Card) -> None:
        """Take a card out of the field, whatever it is doing."""
        if card in self._field:
            self._field.remove(card)
            card.reset()
        if self._active is card:
            self._active = None

    # The host's UART.

    def receive_data(self, data: bytes, now_ms: int) -> None:
        self._decoder.receive(data)
        while (frame := self._decoder.next_frame()) is not None:
            if frame.is_ack:
                self._listing = False
                self._answers.clear()
            elif frame.data[:1] == bytes((HOST_TO_CHIP,)):
                self._take_command(frame.data[1], frame.data[2:], now_ms)

    def data_to_send(self, now_ms: int) -> bytes:
        due = b"".join(data for when_ms, data in self._answers if when_ms <= now_ms)
        self._answers = [answer for answer in self._answers if answer[0] > now_ms]
        return due

    def next_timeout_ms(self) -> int | None:
        return min((when_ms for when_ms, _ in self._answers), default=None)

    def _take_command(self, code: int, parameters: bytes, now_ms: int) -> None:
        if code == 0x02:
            self.stuck = False
        if self.stuck:
            return
        self._answers.append((now_ms, ACK))
        self._listing = False
        conversations: dict[int, Callable[[bytes, int], None]] = {
            0x40: self._exchange,
            0x4A: self._list,
            0x52: self._release,
        }
        if code in conversations:
            conversations[code](parameters, now_ms)
            return
        answer = self._configure(code, parameters)
        if answer is None:
            self._answers.append((now_ms + _COMMAND_MS, _ERROR_FRAME))
        else:
            self._reply(code, answer, now_ms + _COMMAND_MS)

    def _configure(self, code: int, parameters: bytes) -> bytes | None:
        """Carry out a command that concerns the chip alone and return the answer; None for one that it does not know."""
        if code == 0x02:
            return _FIRMWARE_VERSION
        if code == 0x00 and parameters[:1] == b"\x00":
            return parameters  # Diagnose, the line: an echo
        if code == 0x06:
            addresses = [parameters[place : place + 2] for place in range(0, len(parameters), 2)]
            # Nobody answered the last request, so it is still there.
            return bytes(_REQA if address == _CIU_FIFO_DATA else 0 for address in addresses)
        if code == 0x12 and parameters:
            self._describes_ats = bool(parameters[0] & _AUTOMATIC_RATS)
        if code == 0x32 and len(parameters) == 4 and parameters[0] == 5:
            self._retries = parameters[3]
        # WriteRegister, SetSerialBaudrate, SetParameters, SAMConfiguration, RFConfiguration; PowerDown tells a status.
        return {0x08: b"", 0x10: b"", 0x12: b"", 0x14: b"", 0x32: b"", 0x16: b"\x00"}.get(code)

    def _reply(self, code: int, data: bytes, when_ms: int) -> None:
        self.commands += 1
        frame = encode_frame(bytes((CHIP_TO_HOST, code + 1)) + data)
        if self.garble_next:
            self.garble_next = False
            frame = bytes(byte ^ 0x5A for byte in frame)
        self._answers.append((when_ms, frame))

    def _list(self, parameters: bytes, now_ms: int) -> None:
        if parameters[1:2] != bytes((_TYPE_A_106,)):
            self._reply(0x4A, b"\x00", now_ms + _NO_CARD_MS)
        elif self._field:
            self._answer_listing(now_ms)
        elif self._retries == _ENDLESS:
            self._listing = True
        else:
            self._reply(0x4A, b"\x00", now_ms + _NO_CARD_MS * (self._retries + 1))

    def _answer_listing(self, now_ms: int) -> None:
        self._listing = False
        self._active = self._field[0]
        found = self._field[:2]
        described = b"".join(
            bytes((number, 0x03, 0x44, 0x20, len(card.uid))) + card.uid + (card.ats if self._describes_ats else b"")
            for number, card in enumerate(found, 1)
        )
        self._reply(0x4A, bytes((len(found),)) + described, now_ms + _ACTIVATION_MS * len(found))

    def _release(self, _: bytes, now_ms: int) -> None:
        if self._active is not None:
            self._active.reset()
            self._active = None
        self._reply(0x52, b"\x00", now_ms + _COMMAND_MS)

    def _exchange(self, parameters: bytes, now_ms: int) -> None:
        apdu = parameters[1:]
        if self._active is None:
            self._reply(0x40, bytes((_NOT_ACTIVATED,)), now_ms + _COMMAND_MS)
            return
        try:
            response = self._active.process(apdu)
        except TornAway:
            self.remove(self._active)
            self._reply(0x40, bytes((_TIMEOUT,)), now_ms + 80)
            return
        air_ms = (len(apdu) + len(response)) // _AIR_BYTES_PER_MS + 1
        self._reply(0x40, b"\x00" + response, now_ms + air_ms + _CARD_MS)
