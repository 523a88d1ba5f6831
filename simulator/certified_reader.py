"""A certified reader module: a PN532 with an EMV kernel before it; of a bank card it tells token and blob alone.

What the host says of other cards it hands on to the chip. For a bank card it holds the conversation by itself, with keys and
authorities of its own (`firmware.readers.certified` is its driver).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.boards.crypto_cpython import Aes
from firmware.readers.certified import READ_BANK_CARD
from firmware.readers.pn532_frames import ACK, CHIP_TO_HOST, HOST_TO_CHIP, FrameDecoder, encode_frame
from protocol.cards.acquirer_blob import seal_blob
from protocol.cards.dukpt import KEY_ID_BYTES, plant
from protocol.cards.emv import NoPaymentApplication, read_bank_card
from protocol.cards.emv_keys import NotGenuine, PublicKey
from protocol.cards.emv_oda import OfflineAuthentication
from protocol.cards.emv_terminal import Terminal
from protocol.decisions import DECISION_MEDIUM_FAULT, DECISION_TORN, DECISION_UNKNOWN_MEDIUM
from protocol.errors import CardError
from protocol.tokens import LABEL_BANK, medium_token
from simulator.counterparties.acquirer import initial_key
from simulator.emv_issuer import authorities
from simulator.pn532_chip import Pn532Chip

if TYPE_CHECKING:
    from collections.abc import Generator

    from protocol.cards.emv import BankCardRead
    from simulator.iso_dep import Card

_EXCHANGE = b"\xd4\x40\x01"
_KERNEL_MS = 5


class _Known:
    """The module's own list of authorities: those of the test schemes."""

    number = 1

    def find(self, rid: bytes, index: int) -> PublicKey | None:
        for key in authorities():
            if (key.rid, key.index) == (rid, index):
                return PublicKey(key.modulus, key.exponent, bytes.fromhex(key.expires_yymm))
        return None

    def is_revoked(self, rid: bytes, index: int, serial: bytes) -> bool:
        del rid, index, serial
        return False


class CertifiedModule:
    """One module; its name stands for it at the acquirer.

    Attributes:
        line: to its host.
    """

    def __init__(self, token_key: bytes, name: str) -> None:
        self._chip = Pn532Chip()
        self.line = self._chip.line
        self._from_host, self._from_chip = FrameDecoder(), FrameDecoder()
        self._conversation: Generator[bytes, bytes | bytearray, BankCardRead] | None = None
        self._answers: list[tuple[int, bytes]] = []
        self._token_key = token_key
        key = initial_key(name)
        self._keys, _ = plant(Aes(), key[:KEY_ID_BYTES], key[KEY_ID_BYTES:])
        self._authentication = OfflineAuthentication(_Known())

    # The field.

    def present(self, card: Card, now_ms: int, other: Card | None = None) -> None:
        """Put a card into the field, or two at the same moment."""
        self._chip.present(card, now_ms, other)

    def remove(self, card: Card) -> None:
        """Take a card out of the field."""
        self._chip.remove(card)

    # The host's UART.

    def receive_data(self, data: bytes, now_ms: int) -> None:
        self._from_host.receive(data)
        while (frame := self._from_host.next_frame()) is not None:
            if frame.data[:2] == bytes((HOST_TO_CHIP, READ_BANK_CARD)):
                self._answers.append((now_ms, ACK))
                self._begin(frame.data[2:], now_ms)
            else:
                self._conversation = None
                self._chip.receive_data(ACK if frame.is_ack else encode_frame(frame.data), now_ms)

    def data_to_send(self, now_ms: int) -> bytes:
        data = self._chip.data_to_send(now_ms)
        if self._conversation is not None:
            self._from_chip.receive(data)
            data = b""
            while (frame := self._from_chip.next_frame()) is not None:
                if not frame.is_ack:
                    self._go_on(frame.data, now_ms)
        due = [answer for when_ms, answer in self._answers if when_ms <= now_ms]
        self._answers = [each for each in self._answers if each[0] > now_ms]
        return data + b"".join(due)

    def next_timeout_ms(self) -> int | None:
        moments = [when_ms for when_ms, _ in self._answers]
        chip_ms = self._chip.next_timeout_ms()
        return min(moments if chip_ms is None else [*moments, chip_ms], default=None)

    # The kernel, which is the vault as well.

    def _begin(self, asked: bytes, now_ms: int) -> None:
        amount_minor = int(asked[:6].hex())
        terminal = Terminal(amount_minor, asked[6:9], asked[9:13])
        self._conversation = read_bank_card(self, terminal, self._authentication)
        self._say(next(self._conversation), now_ms)

    def _say(self, apdu: bytes, now_ms: int) -> None:
        self._chip.receive_data(encode_frame(_EXCHANGE + apdu), now_ms)

    def _go_on(self, answer: bytes, now_ms: int) -> None:
        assert self._conversation is not None
        if answer[2]:
            self._tell(bytes((DECISION_TORN,)), now_ms)
            return
        try:
            self._say(self._conversation.send(answer[3:]), now_ms)
        except StopIteration as end:
            read: BankCardRead = end.value
            told = b"\0" + read.token + read.expires_yymm + read.counter.to_bytes(2, "big") + read.blob
            self._tell(told, now_ms)
        except NoPaymentApplication:
            self._tell(bytes((DECISION_UNKNOWN_MEDIUM,)), now_ms)
        except NotGenuine as finding:
            self._tell(bytes((finding.decision,)), now_ms)
        except CardError:
            self._tell(bytes((DECISION_MEDIUM_FAULT,)), now_ms)

    def _tell(self, answer: bytes, now_ms: int) -> None:
        self._conversation = None
        frame = encode_frame(bytes((CHIP_TO_HOST, READ_BANK_CARD + 1)) + answer)
        self._answers.append((now_ms + _KERNEL_MS, frame))

    def tokenise(self, number: bytearray) -> bytes:
        return medium_token(self._token_key, LABEL_BANK, bytes(number))

    def seal(self, objects: bytearray) -> bytes:
        return seal_blob(Aes(), self._keys, objects)
