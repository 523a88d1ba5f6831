"""Secure messaging of a virtual DESFire card, from the card's side, and the answers by which it refuses (MF2DLHX0 chapter 9)."""

from __future__ import annotations

from firmware.boards.crypto_cpython import Aes
from protocol.cards.desfire_crypto import command_vector, pad, response_vector, shortened
from protocol.cmac import Cmac
from simulator.desfire_files import FULL, PLAIN

AES = Aes()
OK = b"\x91\x00"
MORE = b"\x91\xaf"
NO_CHANGES = b"\x91\x0c"
ILLEGAL_COMMAND = b"\x91\x1c"
INTEGRITY_ERROR = b"\x91\x1e"
NO_SUCH_KEY = b"\x91\x40"
LENGTH_ERROR = b"\x91\x7e"
PERMISSION_DENIED = b"\x91\x9d"
PARAMETER_ERROR = b"\x91\x9e"
APPLICATION_NOT_FOUND = b"\x91\xa0"
AUTHENTICATION_ERROR = b"\x91\xae"
BOUNDARY_ERROR = b"\x91\xbe"
DUPLICATE_ERROR = b"\x91\xde"
FILE_NOT_FOUND = b"\x91\xf0"
MAC_BYTES = 8


class Refused(Exception):  # noqa: N818 - it carries an answer
    """The card refuses a command.

    Attributes:
        status: its answer.
    """

    def __init__(self, status: bytes) -> None:
        super().__init__()
        self.status = status


class CardSession:
    """What an authentication has begun.

    Attributes:
        key_number: what the reader authenticated with.
    """

    def __init__(self, key_number: int, keys: tuple[bytes, bytes], transaction: bytes) -> None:
        self.use_keys(key_number, keys)
        self._transaction = transaction
        self._counter = 0

    def use_keys(self, key_number: int, keys: tuple[bytes, bytes]) -> None:
        """Go on under a further authentication: transaction id and counter stay."""
        self.key_number = key_number
        self._encryption_key, self._cmac = keys[0], Cmac(AES, keys[1])

    def _mac(self, code: int, data: bytes) -> bytes:
        head = bytes((code,)) + self._counter.to_bytes(2, "little") + self._transaction
        return shortened(self._cmac.digest(head + data))

    def check(self, ins: int, data: bytes, mode: int) -> bytes:
        """Return a command's data without its MAC, which must hold."""
        if mode == PLAIN:
            return data
        if len(data) < MAC_BYTES:
            raise Refused(LENGTH_ERROR)
        body, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
        if mac != self._mac(ins, body):
            raise Refused(INTEGRITY_ERROR)
        return body

    def decrypt(self, data: bytes) -> bytes:
        """Return a command's data, decrypted and without its padding."""
        if not data or len(data) % 16:
            raise Refused(LENGTH_ERROR)
        vector = command_vector(AES, self._encryption_key, self._transaction, self._counter)
        plain = AES.cbc_decrypt(self._encryption_key, vector, data)
        content = plain.rstrip(b"\x00")[:-1]
        if plain != pad(content):
            raise Refused(INTEGRITY_ERROR)
        return content

    def answer(self, data: bytes, mode: int) -> bytes:
        """Return an answer under secure messaging; the command has been carried out."""
        self._counter += 1
        if mode == PLAIN:
            return data + OK
        if data and mode == FULL:
            vector = response_vector(AES, self._encryption_key, self._transaction, self._counter)
            data = AES.cbc_encrypt(self._encryption_key, vector, pad(data))
        return data + self._mac(0, data) + OK
