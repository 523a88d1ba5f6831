"""A list of media as sent to buses, whole (SPEC.md "Medium list"): who is denied, or who is allowed. Changes: `list_delta`.

Tokens lie sorted in one byte string, so that a validator looks one up in place without building anything. It travels as
COSE_Sign1 with typ "list"; a list too long for one message travels in parts, each of them signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import const
from protocol.errors import DocumentError, LocalProtocolError
from protocol.fields import U32_MAX, Layout
from protocol.limits import DENY_LIST_ENTRIES_MAX, LIST_PARTS_MAX
from protocol.tokens import TOKEN_BYTES

if TYPE_CHECKING:
    from typing import Any

LIST_VERSION = const(1)
LIST_DENY = const(1)
LIST_ALLOW = const(2)
_LAYOUT = Layout(
    "list",
    DocumentError,
    6,
    (),
    (
        (1, LIST_DENY, LIST_ALLOW),
        (2, 0, U32_MAX),
        (3, 0, U32_MAX),
        (4, 0, DENY_LIST_ENTRIES_MAX),
        (6, 1, LIST_PARTS_MAX),
        (7, 2, LIST_PARTS_MAX),
    ),
    (6, 7),
)


class MediumList:
    """A sorted list of tokens.

    Attributes:
        kind: `LIST_DENY` or `LIST_ALLOW`.
        number: grows with every issue.
        expires_s: unix seconds.
        tokens: sorted 16-byte tokens, one after another.
    """

    __slots__ = ("expires_s", "kind", "number", "tokens")

    def __init__(self, kind: int, number: int, expires_s: int, tokens: bytes | bytearray) -> None:
        self.kind = kind
        self.number = number
        self.expires_s = expires_s
        self.tokens = tokens

    def __len__(self) -> int:
        return len(self.tokens) // TOKEN_BYTES

    def holds(self, token: bytes) -> bool:
        """Return whether the token is on the list."""
        index = self.place(token)
        return index < len(self) and self.at(index) == token

    def place(self, token: bytes) -> int:
        """Return the index of the token, or that of the one before which it would stand."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.at(middle) < token:
                low = middle + 1
            else:
                high = middle
        return low

    def at(self, index: int) -> bytes:
        return bytes(self.tokens[index * TOKEN_BYTES : (index + 1) * TOKEN_BYTES])


class ListPart:
    """One message of a whole list.

    Attributes:
        medium_list: kind, number and expiry of the whole, tokens of this part.
        part, parts: which of how many, from 1; 1 of 1 for a list in one message.
    """

    __slots__ = ("medium_list", "part", "parts")

    def __init__(self, medium_list: MediumList, part: int, parts: int) -> None:
        self.medium_list = medium_list
        self.part = part
        self.parts = parts


def make_list(kind: int, number: int, expires_s: int, tokens: list[bytes]) -> MediumList:
    """Return a list of these tokens, each once, in order.

    Raises:
        LocalProtocolError: more tokens than all its parts may carry.
    """
    each_once = sorted(set(tokens))
    if len(each_once) > DENY_LIST_ENTRIES_MAX * LIST_PARTS_MAX:
        raise LocalProtocolError("a list holds at most " + str(DENY_LIST_ENTRIES_MAX * LIST_PARTS_MAX) + " tokens")
    return MediumList(kind, number, expires_s, b"".join(each_once))


def encode_list(medium_list: MediumList) -> bytes:
    """Return a list that fits one message, encoded.

    Raises:
        LocalProtocolError: it does not fit; `encode_list_parts` takes it.
    """
    if len(medium_list) > DENY_LIST_ENTRIES_MAX:
        raise LocalProtocolError("one message carries at most " + str(DENY_LIST_ENTRIES_MAX) + " tokens")
    return cbor.encode(_fields(medium_list, medium_list.tokens))


def encode_list_parts(medium_list: MediumList) -> list[bytes]:
    """Return a list of any length, encoded in as few messages as can be."""
    size = DENY_LIST_ENTRIES_MAX * TOKEN_BYTES
    tokens = medium_list.tokens
    if len(tokens) <= size:
        return [encode_list(medium_list)]
    parts = [tokens[start : start + size] for start in range(0, len(tokens), size)]
    return [cbor.encode(_fields(medium_list, part) | {6: index + 1, 7: len(parts)}) for index, part in enumerate(parts)]


def encode_list_part(part: ListPart) -> bytes:
    fields = _fields(part.medium_list, part.medium_list.tokens)
    if part.parts > 1:
        fields[6], fields[7] = part.part, part.parts
    return cbor.encode(fields)


def _fields(medium_list: MediumList, tokens: bytes | bytearray) -> dict[int, Any]:
    return {
        0: LIST_VERSION,
        1: medium_list.kind,
        2: medium_list.number,
        3: medium_list.expires_s,
        4: len(tokens) // TOKEN_BYTES,
        5: tokens,
    }


def decode_list(payload: bytes, kind: int = LIST_DENY) -> MediumList:
    """Return a list of that kind which is whole in this one message.

    Raises:
        DocumentError: the payload is not one, or a part of one, or its tokens are not in order.
    """
    part = decode_list_part(payload, kind)
    if part.parts > 1:
        raise DocumentError("list: only a part of one")
    return part.medium_list


def decode_list_part(payload: bytes, kind: int) -> ListPart:
    """Return a message of a list of that kind: a part, or the whole.

    Raises:
        DocumentError: the payload is not one, or its tokens are not in order.
    """
    fields = _LAYOUT.read(payload)
    part, parts = fields.get(6, 1), fields.get(7, 1)
    if fields[1] != kind:
        raise DocumentError("list: of another kind")
    if (6 in fields) != (7 in fields) or part > parts or (parts > 1 and not fields[4]):
        raise DocumentError("list: a part says which it is, of how many, and is not empty")
    tokens = fields[5]
    if not isinstance(tokens, bytes) or len(tokens) != fields[4] * TOKEN_BYTES:
        raise DocumentError("list: as long as it says")
    require_sorted(tokens)
    return ListPart(MediumList(fields[1], fields[2], fields[3], tokens), part, parts)


def require_sorted(tokens: bytes | bytearray) -> None:
    """Raise DocumentError unless tokens are sorted, each once."""
    last = b""
    for start in range(0, len(tokens), TOKEN_BYTES):
        token = bytes(tokens[start : start + TOKEN_BYTES])
        if token <= last:
            raise DocumentError("tokens are sorted, each once")
        last = token


def join_parts(parts: list[ListPart]) -> MediumList:
    """Return the list that all its parts, in order, make.

    Raises:
        DocumentError: they are not all the parts of one list, or not in order.
    """
    if not parts:
        raise DocumentError("list: no part of it")
    first = parts[0].medium_list
    size = 0
    for index, each in enumerate(parts):
        other = each.medium_list
        if (each.part, each.parts) != (index + 1, len(parts)):
            raise DocumentError("list: a part is missing")
        if (other.kind, other.number, other.expires_s) != (first.kind, first.number, first.expires_s):
            raise DocumentError("list: parts of several")
        if index and other.at(0) <= parts[index - 1].medium_list.at(len(parts[index - 1].medium_list) - 1):
            raise DocumentError("list: parts are sorted")
        size += len(other.tokens)
    tokens = bytearray(size)
    view = memoryview(tokens)
    at = 0
    for each in parts:
        part = each.medium_list.tokens
        view[at : at + len(part)] = part
        at += len(part)
    return MediumList(first.kind, first.number, first.expires_s, tokens)
