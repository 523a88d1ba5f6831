"""The NXP PN532 as an emulated chip: frames in, frames out, and a field into which virtual cards are put (UM0701-02).

A sans-IO session on virtual time. The air and a card's own work take declared milliseconds. It waits for cards as the chip does:
with endless retries, InListPassiveTarget answers only when a card comes. It speaks ISO-DEP by itself when the host lets it
(InDataExchange), and carries raw frames of hosts that speak it themselves (InCommunicateThru). As a card for another reader
(`pn532_target`) it hears that reader's frames, and sends what its host says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.readers.pn532_frames import ACK, CHIP_TO_HOST, HOST_TO_CHIP, FrameDecoder, encode_frame
from simulator.pn532_line import Line
from simulator.pn532_settings import BAUDRATES, Pn532Settings
from simulator.pn532_target import TARGET_COMMANDS, Pn532Target
from simulator.timing import AIR_KBITS
from simulator.type_a import REQUEST, SELECT, SELECT_CODES, SPEAKS_ISO_DEP, TypeA, answer_to_request, cascade_levels
from simulator.virtual_card import TornAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.iso_dep import Card

__all__ = ["Pn532Chip"]

_TIMEOUT = 0x01
_NOT_ACTIVATED = 0x27
_ENDLESS = 0xFF
_ACTIVATION_MS = 6
_NO_CARD_MS = 5
_COMMAND_MS = 1
_AIR_BYTES_PER_MS = 11
_CARD_MS = 2
_TORN_MS = 80
_TYPE_A_106 = 0
_TARGETS_MAX = 2
_MORE_FOLLOWS = 0x40
_SET_SERIAL_BAUDRATE = 0x10
_PPS, _PPS1_FOLLOWS = 0xD0, 0x11
_TARGET = 0x0F
_RATS = b"\xe0\x80"
_PRESENCE = b"\x06"
_ERROR_FRAME = b"\x00\x00\xff\x01\xff\x7f\x81\x00"


class Pn532Chip:
    """One chip.

    Attributes:
        stuck: it takes commands and answers nothing, until it is woken.
        garble_next: its next answer is noise.
        host_rate: of its host; None on a line that carries any, such as a pseudo-terminal.
        line: to its host.
        air_kbits: at which it speaks to the card that is listed.
        commands: how many it has answered.
    """

    def __init__(self) -> None:
        self._decoder = FrameDecoder()
        self._field: list[TypeA] = []
        self._listed: list[TypeA] = []
        self._answers: list[tuple[int, bytes]] = []
        self._listing: bytes | None = None
        self._settings = Pn532Settings()
        self._command_part = b""
        self._target_role = Pn532Target()
        self.stuck = False
        self.garble_next = False
        self.line = Line()
        self._has_spoken = False
        self.air_kbits = AIR_KBITS[0]
        self.commands = 0

    def reset(self) -> None:
        """Its power was gone for a moment: it has forgotten what it was told; its line is as at the beginning."""
        self._let_go()
        self._settings = Pn532Settings()
        self._decoder = FrameDecoder()
        self._answers, self._listing = [], None
        self._command_part = b""
        self._target_role = Pn532Target()
        self.line.reset()

    # The field.

    def present(self, card: Card, now_ms: int, other: Card | None = None) -> None:
        """Put a card into the field, or two at the same moment."""
        for each in (card, other):
            if each is not None:
                each.reset()
                self._field.append(TypeA(each))
        if self._listing is not None:
            self._answer_listing(self._listing, now_ms)

    def remove(self, card: Card) -> None:
        """Take a card out of the field, whatever it is doing."""
        for there in [there for there in self._field if there.card is card]:
            self._take_away(there)

    def _take_away(self, card: TypeA) -> None:
        card.field_off()
        self._field.remove(card)
        # Its number stays taken: a host that speaks to it is told that nobody answers.
        if card in self._listed:
            self._listed = []

    # Another reader's field.

    def hear(self, frame: bytes | None, now_ms: int) -> list[bytes]:
        """Hear a frame of another reader, None for that its field went off; return what the chip says to it by itself."""
        said, answer = self._target_role.hear(frame)
        if answer is not None:
            self._reply(*answer, now_ms + _COMMAND_MS)
        return [] if said is None else [said]

    def say(self) -> list[bytes]:
        """Return what the host has said to the other reader since."""
        said = list(self._target_role.spoken)
        self._target_role.spoken.clear()
        return said

    # The host's UART.

    def receive_data(self, data: bytes, now_ms: int) -> None:
        self._decoder.receive(self.line.carry(data))
        while (frame := self._decoder.next_frame()) is not None:
            if frame.is_ack:
                self._listing = None
                self._target_role.interrupt()
                self._answers.clear()
                self.line.acknowledge()
            elif frame.data[:1] == bytes((HOST_TO_CHIP,)) and len(frame.data) > 1:
                self._take_command(frame.data[1], frame.data[2:], now_ms)

    def data_to_send(self, now_ms: int) -> bytes:
        due = b"".join(data for when_ms, data in self._answers if when_ms <= now_ms)
        self._answers = [answer for answer in self._answers if answer[0] > now_ms]
        return self.line.carry(due)

    def next_timeout_ms(self) -> int | None:
        return min((when_ms for when_ms, _ in self._answers), default=None)

    def _take_command(self, code: int, parameters: bytes, now_ms: int) -> None:
        if code == 0x02:
            self.stuck = False
        if self.stuck:
            return
        self._answers.append((now_ms, ACK))
        self._listing = None
        self._target_role.interrupt()
        conversations: dict[int, Callable[[bytes, int], None]] = {
            0x04: self._tell_status,
            0x40: self._exchange,
            0x42: self._communicate_through,
            0x44: self._deselect,
            0x4A: self._list,
            0x4E: self._speed_up,
            0x52: self._release,
            0x54: self._select,
        }
        if code in conversations:
            conversations[code](parameters, now_ms)
        elif code in TARGET_COMMANDS:
            answer = self._target_role.carry_out(code, parameters)
            if answer is not None:
                self._reply(code, answer, now_ms + _COMMAND_MS)
        elif code == 0x00 and parameters == _PRESENCE:
            self._reply(code, b"\x00" if self._listed else bytes((_TIMEOUT,)), now_ms + _COMMAND_MS)
        else:
            self._configure(code, parameters, now_ms)

    def _configure(self, code: int, parameters: bytes, now_ms: int) -> None:
        answer = self._settings.carry_out(code, parameters)
        if answer is None:
            self._answers.append((now_ms + _COMMAND_MS, _ERROR_FRAME))
            return
        if code == _SET_SERIAL_BAUDRATE:
            self.line.ask_for(BAUDRATES[parameters[0]])
        if not self._settings.field_is_on:
            self._let_go()
        self._reply(code, answer, now_ms + _COMMAND_MS)

    def _let_go(self) -> None:
        for card in self._listed:
            card.field_off()
        self._listed = []

    def _reply(self, code: int, data: bytes, when_ms: int) -> None:
        self.commands += 1
        frame = encode_frame(bytes((CHIP_TO_HOST, code + 1)) + data)
        if self.garble_next:
            self.garble_next = False
            frame = bytes(byte ^ 0x5A for byte in frame)
        self._answers.append((when_ms, frame))

    def _tell_status(self, _: bytes, now_ms: int) -> None:
        targets = b"".join(bytes((number, 0, 0, 0)) for number in range(1, len(self._listed) + 1))
        head = bytes((0, self._settings.field_is_on, len(self._listed)))
        self._reply(0x04, head + targets + b"\x00", now_ms + _COMMAND_MS)

    # Cards are found.

    def _list(self, parameters: bytes, now_ms: int) -> None:
        self._settings.field_is_on = True
        retries = self._settings.retries
        if parameters[1:2] != bytes((_TYPE_A_106,)):
            self._reply(0x4A, b"\x00", now_ms + _NO_CARD_MS)
        elif self._wanted(parameters):
            self._answer_listing(parameters, now_ms)
        elif retries == _ENDLESS:
            self._listing = parameters
        else:
            self._reply(0x4A, b"\x00", now_ms + _NO_CARD_MS * (retries + 1))

    def _wanted(self, parameters: bytes) -> list[TypeA]:
        """Return the cards that are asked for: as many as are wanted at most, or the one of a UID."""
        count, uid = min(parameters[0], _TARGETS_MAX), parameters[2:]
        found = [there for there in self._field if not uid or b"".join(_selected(there)) == uid]
        return found[:count]

    def _answer_listing(self, parameters: bytes, now_ms: int) -> None:
        self._listed = self._wanted(parameters)
        if not self._listed:
            return
        self._listing = None
        self._has_spoken, self.air_kbits = False, AIR_KBITS[0]
        described = b""
        for number, there in enumerate(self._listed, 1):
            _activate(there)
            uid = there.card.uid
            described += bytes((number, *reversed(answer_to_request(uid)), SPEAKS_ISO_DEP, len(uid))) + uid
            if self._settings.describes_ats:
                described += there.receive(_RATS) or b""
        self._reply(0x4A, bytes((len(self._listed),)) + described, now_ms + _ACTIVATION_MS * len(self._listed))

    def _release(self, _: bytes, now_ms: int) -> None:
        self._let_go()
        self._reply(0x52, b"\x00", now_ms + _COMMAND_MS)

    def _deselect(self, _: bytes, now_ms: int) -> None:
        self._let_go()
        self._reply(0x44, b"\x00", now_ms + _COMMAND_MS)

    def _select(self, parameters: bytes, now_ms: int) -> None:
        there = self._target(parameters)
        self._reply(0x54, b"\x00" if there else bytes((_NOT_ACTIVATED,)), now_ms + _COMMAND_MS)

    def _speed_up(self, parameters: bytes, now_ms: int) -> None:
        """Ask a card for other rates in the air (PPS): such as its answer to select names, and before anything else is said."""
        there = self._target(parameters)
        if len(parameters) != 3 or max(parameters[1:]) >= len(AIR_KBITS):
            self._answers.append((now_ms + _COMMAND_MS, _ERROR_FRAME))
        elif there is None:
            self._reply(0x4E, bytes((_NOT_ACTIVATED,)), now_ms + _COMMAND_MS)
        elif self._has_spoken or not all(offers(there.card.ats, *rates) for rates in enumerate(parameters[1:])):
            self._reply(0x4E, bytes((_TIMEOUT,)), now_ms + _NO_CARD_MS)
        else:
            there.receive(bytes((_PPS, _PPS1_FOLLOWS, parameters[2] << 2 | parameters[1])))
            self.air_kbits = AIR_KBITS[parameters[1]]
            self._reply(0x4E, b"\x00", now_ms + _COMMAND_MS)

    def _target(self, parameters: bytes) -> TypeA | None:
        number = parameters[0] & _TARGET if parameters else 0
        return self._listed[number - 1] if 1 <= number <= len(self._listed) else None

    # Cards are spoken to.

    def _exchange(self, parameters: bytes, now_ms: int) -> None:
        there = self._target(parameters)
        self._has_spoken = True
        apdu, self._command_part = self._command_part + parameters[1:], b""
        if there is None:
            self._reply(0x40, bytes((_NOT_ACTIVATED,)), now_ms + _COMMAND_MS)
            return
        if parameters[0] & _MORE_FOLLOWS:
            self._command_part = apdu
            self._reply(0x40, b"\x00", now_ms + _air_ms(len(parameters)))
            return
        try:
            response = there.card.process(apdu)
        except TornAway:
            self._take_away(there)
            self._reply(0x40, bytes((_TIMEOUT,)), now_ms + _TORN_MS)
            return
        self._reply(0x40, b"\x00" + response, now_ms + _air_ms(len(apdu) + len(response)) + _CARD_MS)

    def _communicate_through(self, parameters: bytes, now_ms: int) -> None:
        """Carry a raw frame to the card that is listed; to others than type A nobody answers."""
        there = self._listed[0] if self._listed and self._settings.framing_is_type_a else None
        answer = None if there is None else there.receive(parameters)
        if answer is None:
            self._reply(0x42, bytes((_TIMEOUT,)), now_ms + self._settings.patience_ms)
            return
        self._reply(0x42, b"\x00" + answer, now_ms + _air_ms(len(parameters) + len(answer)) + _CARD_MS)


def offers(ats: bytes, way: int, rate: int) -> bool:
    """Return whether a card has offered a rate by its ATS (TA(1), ISO/IEC 14443-4 section 5.2.4): way 0 to it, 1 from it."""
    has_rates = len(ats) > 2 and ats[1] & 0x10
    return not rate or bool(has_rates and ats[2] >> 4 * way & 1 << rate - 1)


def _air_ms(size: int) -> int:
    return size // _AIR_BYTES_PER_MS + 1


def _selected(there: TypeA) -> list[bytes]:
    """Return a card's UID as it is selected by: with its cascade tags, without check bytes."""
    return [level[:-1] for level in cascade_levels(there.card.uid)]


def _activate(there: TypeA) -> None:
    there.receive(REQUEST)
    for code, level in zip(SELECT_CODES, cascade_levels(there.card.uid), strict=False):
        there.receive(bytes((code, SELECT)) + level)
