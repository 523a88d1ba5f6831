"""A list of media as sent to buses, whole (SPEC.md "Medium list"): denied, allowed or awaited by money. Changes: `list_delta`.

An entry is the first 8 bytes of a token. Tokens are HMAC outputs: on a list of a million, a rider who is not meant is found with
a chance of 10^6 in 2^64. Entries lie sorted in one byte string, so that a validator looks one up in place without building
anything. It travels as COSE_Sign1 with typ "list"; a list too long for one message travels in parts, each of them signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import const
from protocol.errors import DocumentError, LocalProtocolError
from protocol.fields import U32_MAX, Layout
from protocol.limits import LIST_ENTRIES_MAX, LIST_ENTRY_BYTES, LIST_PART_ENTRIES_MAX, LIST_PARTS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

LIST_VERSION = const(1)
LIST_DENY = const(1)
LIST_ALLOW = const(2)
LIST_TOP_UP = const(3)
# A place is searched for by reading so many entries at once.
_WINDOW_ENTRIES = const(32)
_LAYOUT = Layout(
    "list",
    DocumentError,
    6,
    (),
    (
        (1, LIST_DENY, LIST_TOP_UP),
        (2, 0, U32_MAX),
        (3, 0, U32_MAX),
        (4, 0, LIST_PART_ENTRIES_MAX),
        (6, 1, LIST_PARTS_MAX),
        (7, 2, LIST_PARTS_MAX),
    ),
    (6, 7),
)


class MediumList:
    """A sorted list of entries.

    Attributes:
        kind: `LIST_DENY`, `LIST_ALLOW` or `LIST_TOP_UP`.
        number: grows with every issue.
        expires_s: unix seconds.
        entries: sorted, one after another.
    """

    __slots__ = ("entries", "expires_s", "kind", "number")

    def __init__(self, kind: int, number: int, expires_s: int, entries: bytes | bytearray) -> None:
        self.kind = kind
        self.number = number
        self.expires_s = expires_s
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries) // LIST_ENTRY_BYTES

    def holds(self, token: bytes) -> bool:
        """Return whether the token is on the list."""
        index = self.place(token)
        return index < len(self) and self.at(index) == token[:LIST_ENTRY_BYTES]

    def place(self, token: bytes) -> int:
        """Return the index of the token's entry, or that of the one before which it would stand.

        Entries are as good as random, so it is guessed where one stands; each third time the middle is taken, whatever is listed.
        """
        entry = bytes(token[:LIST_ENTRY_BYTES])
        low, high = 0, len(self)
        value, low_value, high_value = _begin_of(entry), 0, 0x3FFFFFFF
        looks = 0
        while high - low > _WINDOW_ENTRIES:
            looks += 1
            guess = low + (value - low_value) * (high - low) // (high_value - low_value + 1)
            if looks % 3 == 0:
                guess = (low + high) // 2
            start = min(max(guess - _WINDOW_ENTRIES // 2, low), high - _WINDOW_ENTRIES)
            window = self.run(start, _WINDOW_ENTRIES)
            if window[-LIST_ENTRY_BYTES:] < entry:
                low, low_value = start + _WINDOW_ENTRIES, _begin_of(window[-LIST_ENTRY_BYTES:])
            elif window[:LIST_ENTRY_BYTES] > entry:
                high, high_value = start, _begin_of(window)
            else:
                return start + _place_among(window, entry)
        return low + _place_among(self.run(low, high - low), entry)

    def at(self, index: int) -> bytes:
        return self.run(index, 1)

    def run(self, start: int, count: int) -> bytes:
        """Return entries that stand one after another."""
        return bytes(self.entries[start * LIST_ENTRY_BYTES : (start + count) * LIST_ENTRY_BYTES])


def _begin_of(entry: bytes) -> int:
    """Return the first 30 bits of an entry: a small number on every Python."""
    return int.from_bytes(entry[:4], "big") >> 2


def _place_among(entries: bytes, entry: bytes) -> int:
    low, high = 0, len(entries) // LIST_ENTRY_BYTES
    while low < high:
        middle = (low + high) // 2
        if entries[middle * LIST_ENTRY_BYTES : (middle + 1) * LIST_ENTRY_BYTES] < entry:
            low = middle + 1
        else:
            high = middle
    return low


class ListPart:
    """One message of a whole list.

    Attributes:
        medium_list: kind, number and expiry of the whole, entries of this part.
        part, parts: which of how many, from 1; 1 of 1 for a list in one message.
    """

    __slots__ = ("medium_list", "part", "parts")

    def __init__(self, medium_list: MediumList, part: int, parts: int) -> None:
        self.medium_list = medium_list
        self.part = part
        self.parts = parts


def make_list(kind: int, number: int, expires_s: int, tokens: Iterable[bytes]) -> MediumList:
    """Return a list of these tokens, each once, in order.

    Raises:
        LocalProtocolError: more of them than all its parts may carry.
    """
    return make_sorted_list(kind, number, expires_s, sorted({bytes(token[:LIST_ENTRY_BYTES]) for token in tokens}))


def make_sorted_list(kind: int, number: int, expires_s: int, tokens: Iterable[bytes]) -> MediumList:
    """Return a list of tokens that come in order; nothing but the list itself is held.

    Raises:
        LocalProtocolError: more of them than all its parts may carry.
    """
    entries, last = bytearray(), b""
    for token in tokens:
        entry = bytes(token[:LIST_ENTRY_BYTES])
        assert entry >= last
        if entry > last:
            entries += entry
        last = entry
    if len(entries) > LIST_ENTRIES_MAX * LIST_ENTRY_BYTES:
        raise LocalProtocolError("a list holds at most " + str(LIST_ENTRIES_MAX) + " media")
    return MediumList(kind, number, expires_s, entries)


def union(first: MediumList, second: MediumList, *without: MediumList) -> Iterator[bytes]:
    """Yield in order the entries of two lists that are on none of the others."""
    at = other_at = 0
    while at < len(first) or other_at < len(second):
        entry = first.at(at) if at < len(first) else b""
        other = second.at(other_at) if other_at < len(second) else b""
        least = min(entry or other, other or entry)
        at, other_at = at + (entry == least), other_at + (other == least)
        if not [each for each in without if each.holds(least)]:
            yield least


def encode_list(medium_list: MediumList) -> bytes:
    """Return a list that fits one message, encoded.

    Raises:
        LocalProtocolError: it does not fit; `encode_list_parts` takes it.
    """
    if len(medium_list) > LIST_PART_ENTRIES_MAX:
        raise LocalProtocolError("one message carries at most " + str(LIST_PART_ENTRIES_MAX) + " entries")
    return cbor.encode(_fields(medium_list, medium_list.entries))


def encode_list_parts(medium_list: MediumList) -> list[bytes]:
    """Return a list of any length, encoded in as few messages as can be."""
    size = LIST_PART_ENTRIES_MAX * LIST_ENTRY_BYTES
    entries = medium_list.entries
    if len(entries) <= size:
        return [encode_list(medium_list)]
    parts = [entries[start : start + size] for start in range(0, len(entries), size)]
    return [cbor.encode(_fields(medium_list, part) | {6: index + 1, 7: len(parts)}) for index, part in enumerate(parts)]


def encode_list_part(part: ListPart) -> bytes:
    fields = _fields(part.medium_list, part.medium_list.entries)
    if part.parts > 1:
        fields[6], fields[7] = part.part, part.parts
    return cbor.encode(fields)


def _fields(medium_list: MediumList, entries: bytes | bytearray) -> dict[int, Any]:
    return {
        0: LIST_VERSION,
        1: medium_list.kind,
        2: medium_list.number,
        3: medium_list.expires_s,
        4: len(entries) // LIST_ENTRY_BYTES,
        5: entries,
    }


def decode_list(payload: bytes, kind: int = LIST_DENY) -> MediumList:
    """Return a list of that kind which is whole in this one message.

    Raises:
        DocumentError: the payload is not one, or a part of one, or its entries are not in order.
    """
    part = decode_list_part(payload, kind)
    if part.parts > 1:
        raise DocumentError("list: only a part of one")
    return part.medium_list


def decode_list_part(payload: bytes, kind: int) -> ListPart:
    """Return a message of a list of that kind: a part, or the whole.

    Raises:
        DocumentError: the payload is not one, or its entries are not in order.
    """
    fields = _LAYOUT.read(payload)
    part, parts = fields.get(6, 1), fields.get(7, 1)
    if fields[1] != kind:
        raise DocumentError("list: of another kind")
    if (6 in fields) != (7 in fields) or part > parts or (parts > 1 and not fields[4]):
        raise DocumentError("list: a part says which it is, of how many, and is not empty")
    entries = fields[5]
    if not isinstance(entries, bytes) or len(entries) != fields[4] * LIST_ENTRY_BYTES:
        raise DocumentError("list: as long as it says")
    require_sorted(entries)
    return ListPart(MediumList(fields[1], fields[2], fields[3], entries), part, parts)


def require_sorted(entries: bytes | bytearray) -> None:
    """Raise DocumentError unless entries are sorted, each once."""
    last = b""
    for start in range(0, len(entries), LIST_ENTRY_BYTES):
        entry = bytes(entries[start : start + LIST_ENTRY_BYTES])
        if entry <= last:
            raise DocumentError("entries are sorted, each once")
        last = entry


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
        size += len(other.entries)
    entries = bytearray(size)
    view = memoryview(entries)
    at = 0
    for each in parts:
        part = each.medium_list.entries
        view[at : at + len(part)] = part
        at += len(part)
    return MediumList(first.kind, first.number, first.expires_s, entries)
