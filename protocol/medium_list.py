"""A list of media as sent to buses: so far the deny list, whole (SPEC.md "Medium list").

Tokens lie sorted in one byte string, so that a validator looks one up in place without building anything. It travels as
COSE_Sign1 with typ "list".
"""

from __future__ import annotations

from protocol import cbor
from protocol.cbor import is_integer
from protocol.compat import const
from protocol.errors import CborError, DocumentError, LocalProtocolError
from protocol.fare_table import require_unsigned
from protocol.limits import DENY_LIST_ENTRIES_MAX
from protocol.tokens import TOKEN_BYTES

LIST_VERSION = const(1)
LIST_DENY = const(1)
_U16_MAX = const(0xFFFF)
_U32_MAX = const(0xFFFFFFFF)


class MediumList:
    """A sorted list of tokens.

    Attributes:
        kind: `LIST_DENY`.
        number: grows with every issue.
        expires_s: unix seconds.
        tokens: sorted 16-byte tokens, one after another.
    """

    __slots__ = ("expires_s", "kind", "number", "tokens")

    def __init__(self, kind: int, number: int, expires_s: int, tokens: bytes) -> None:
        self.kind = kind
        self.number = number
        self.expires_s = expires_s
        self.tokens = tokens

    def __len__(self) -> int:
        return len(self.tokens) // TOKEN_BYTES

    def holds(self, token: bytes) -> bool:
        """Return whether the token is on the list."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._at(middle) < token:
                low = middle + 1
            else:
                high = middle
        return low < len(self) and self._at(low) == token

    def _at(self, index: int) -> bytes:
        return self.tokens[index * TOKEN_BYTES : (index + 1) * TOKEN_BYTES]


def make_list(kind: int, number: int, expires_s: int, tokens: list[bytes]) -> MediumList:
    """Return a list of these tokens, each once, in order.

    Raises:
        LocalProtocolError: more tokens than one message may carry.
    """
    each_once = sorted(set(tokens))
    if len(each_once) > DENY_LIST_ENTRIES_MAX:
        raise LocalProtocolError("a whole list holds at most " + str(DENY_LIST_ENTRIES_MAX) + " tokens")
    return MediumList(kind, number, expires_s, b"".join(each_once))


def encode_list(medium_list: MediumList) -> bytes:
    return cbor.encode(
        {
            0: LIST_VERSION,
            1: medium_list.kind,
            2: medium_list.number,
            3: medium_list.expires_s,
            4: len(medium_list),
            5: medium_list.tokens,
        }
    )


def decode_list(payload: bytes) -> MediumList:
    """Return the list.

    Raises:
        DocumentError: the payload is not one, or its tokens are not in order.
    """
    try:
        fields = cbor.decode(payload)
    except CborError as error:
        raise DocumentError("list: not deterministic CBOR: " + str(error)) from None
    if not isinstance(fields, dict) or sorted(fields) != [0, 1, 2, 3, 4, 5]:
        raise DocumentError("a list has the keys 0 to 5")
    if not is_integer(fields[0], LIST_VERSION, LIST_VERSION):
        raise DocumentError("not list version 1")
    for key, greatest in ((1, _U16_MAX), (2, _U32_MAX), (3, _U32_MAX), (4, DENY_LIST_ENTRIES_MAX)):
        require_unsigned(fields[key], greatest, "list: key " + str(key))
    tokens = fields[5]
    if not isinstance(tokens, bytes) or len(tokens) != fields[4] * TOKEN_BYTES:
        raise DocumentError("a list is as long as it says")
    last = b""
    for start in range(0, len(tokens), TOKEN_BYTES):
        token = tokens[start : start + TOKEN_BYTES]
        if token <= last:
            raise DocumentError("tokens are sorted, each once")
        last = token
    return MediumList(fields[1], fields[2], fields[3], tokens)
