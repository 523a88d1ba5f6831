"""Command and response APDUs (ISO/IEC 7816-4), short form, and what a card's status word means for a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.errors import CardError, LocalProtocolError

if TYPE_CHECKING:
    from typing import TypeVar

    Bytes = TypeVar("Bytes", bytes, memoryview)

SW_OK = const(0x9000)
SW_FILE_NOT_FOUND = const(0x6A82)
_COMMAND_DATA_BYTES_MAX = const(255)
_RESPONSE_BYTES_MAX = const(258)


class UnexpectedStatus(CardError):  # noqa: N818 - a card's word, kept as it was said
    """A card answered with a status word that the conversation does not expect.

    Attributes:
        status: the status word, 16 bits.
    """

    def __init__(self, what: str, status: int) -> None:
        super().__init__(what + ": status " + hex(status))
        self.status = status


def command(cla: int, ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = None) -> bytes:
    """Return a command APDU; `le` 0 asks for up to 256 bytes."""
    if len(data) > _COMMAND_DATA_BYTES_MAX:
        raise LocalProtocolError("a short command carries at most 255 bytes")
    head = bytes((cla, ins, p1, p2, len(data)) if data else (cla, ins, p1, p2))
    return b"".join((head, data, b"" if le is None else bytes((le,))))


def select(name: bytes) -> bytes:
    """Return SELECT by name."""
    return command(0x00, 0xA4, 0x04, 0x00, name, 0)


def split_response(response: Bytes) -> tuple[Bytes, int]:
    """Return data and status word.

    Raises:
        CardError: it is too short or too long to be a response.
    """
    if not 2 <= len(response) <= _RESPONSE_BYTES_MAX:
        raise CardError("a response has 2 to 258 bytes")
    return response[:-2], response[-2] << 8 | response[-1]


def require_ok(response: Bytes, what: str) -> Bytes:
    """Return the data of a response with status 9000; `what` names the command in the error."""
    data, status = split_response(response)
    if status != SW_OK:
        raise UnexpectedStatus(what, status)
    return data
