"""Messages of a list of media, read where they lie in a file: parts of a whole, and what has changed. Loaded when one comes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware.signing import finish
from firmware.token_list import PIECE_BYTES, StoredList
from protocol import cbor, cose
from protocol.compat import const
from protocol.cose import KID_BYTES
from protocol.errors import BadCose, BadSignature, DocumentError, UnknownKid
from protocol.fields import U32_MAX
from protocol.keyset import ROLE_LIST
from protocol.limits import LIST_DELTA_ENTRIES_MAX, LIST_ENTRY_BYTES, LIST_PART_ENTRIES_MAX
from protocol.medium_list import ListPart, MediumList, decode_list_part, encode_list_part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.boards.board import Store
    from firmware.keys import Membership
    from firmware.loop import Loop

_HEAD_BYTES = const(48)
_CHANGE_HEAD_BYTES = const(64)
_SIGNATURE_BYTES = const(66)


def pieces(store: Store, name: str, start: int, size: int) -> Iterator[bytes]:
    """Yield a part of a file in pieces."""
    for offset in range(start, start + size, PIECE_BYTES):
        yield store.read_at(name, offset, min(PIECE_BYTES, start + size - offset))


class Frame:
    """Where the parts of a COSE_Sign1 lie in a file. There is one way to write one: what lies there is compared with it.

    Attributes:
        protected, kid: its header, and who signed it.
        start, size: of the payload, bytes.
        signature: 64 bytes.
    """

    def __init__(self, store: Store, name: str, typ: str) -> None:
        total = store.size(name) or 0
        head = store.read_at(name, 0, _HEAD_BYTES) if total else b""
        begin = cbor.encode([cose.protect(bytes(KID_BYTES), typ), {}, b"", b""])[:-2]
        kid_at = begin.find(bytes(KID_BYTES))
        self.kid = head[kid_at : kid_at + KID_BYTES]
        self.protected = cose.protect(self.kid, typ)
        begin = begin[:kid_at] + self.kid + begin[kid_at + KID_BYTES :]
        room = total - len(begin) - _SIGNATURE_BYTES
        sizes = [size for size in range(max(room - 3, 0), room) if len(cbor.byte_string_head(size)) + size == room]
        self.size = sizes[0] if sizes else 0
        begin += cbor.byte_string_head(self.size)
        self.start = len(begin)
        end = store.read_at(name, total - _SIGNATURE_BYTES, _SIGNATURE_BYTES) if sizes else b""
        if head[: self.start] != begin or end[:2] != b"\x58\x40":
            raise BadCose("not a COSE_Sign1 of typ " + typ)
        self.signature = end[2:]


async def verify_file(loop: Loop, membership: Membership, store: Store, name: str, frame: Frame) -> None:
    """Require that a key which may sign lists has signed the message in a file.

    Raises:
        CoseError: none has.
    """
    if not membership.may(frame.kid, ROLE_LIST):
        raise UnknownKid("signed with a key that may not sign this")
    aad = cose.external_aad(membership.enrolled.audience)
    digest = hashlib.sha256(cose.signature_input(frame.protected, aad, b"")[:-1] + cbor.byte_string_head(frame.size))
    for piece in pieces(store, name, frame.start, frame.size):
        digest.update(piece)
        await loop.pause()
    if not await finish(loop, membership.verifier.verify_digest_steps(frame.kid, digest.digest(), frame.signature)):
        raise BadSignature("the signature does not hold")


def read_part(store: Store, name: str, frame: Frame, kind: int) -> tuple[ListPart, int]:
    """Return what a message of a list says, without its entries, and where these begin in the file.

    Raises:
        DocumentError: it is not one of a list of that kind.
    """
    head = store.read_at(name, frame.start, min(_HEAD_BYTES, frame.size))
    numbers = []
    at = 1
    for key in range(5):
        value, at = _read_unsigned(head, at, key)
        numbers.append(value)
    _, kind_read, number, expires_s, count = numbers
    if count > LIST_PART_ENTRIES_MAX:
        raise DocumentError("list: more entries than a message may have")
    end_at = at + 1 + len(cbor.byte_string_head(count * LIST_ENTRY_BYTES)) + count * LIST_ENTRY_BYTES
    end = store.read_at(name, frame.start + end_at, frame.size - end_at) if end_at < frame.size else b""
    part = parts = 1
    if end:
        part, after = _read_unsigned(end, 0, 6)
        parts, after = _read_unsigned(end, after, 7)
    # With one entry in place of all, what it says of itself is checked as that of any list.
    one = ListPart(MediumList(kind_read, number, expires_s, bytes(LIST_ENTRY_BYTES if count else 0)), part, parts)
    decode_list_part(encode_list_part(one), kind)
    said: dict[int, int] = {0: 1, 1: kind, 2: number, 3: expires_s, 4: count}
    tail = cbor.encode_items({6: part, 7: parts}) if parts > 1 else b""
    begin = (
        cbor.map_head(8 if tail else 6)
        + cbor.encode_items(said)
        + b"\x05"
        + cbor.byte_string_head(count * LIST_ENTRY_BYTES)
    )
    if head[: len(begin)] != begin or end != tail or frame.size != end_at + len(tail):
        raise DocumentError("list: not the one encoding of it")
    whole = StoredList(store, name, kind, number, expires_s, count)
    return ListPart(whole, part, parts), frame.start + len(begin)


class Change:
    """A message of what has changed in a list (SPEC.md "List delta"), read where it lies.

    Attributes:
        from_number, to_number: the list that it changes, and the one that comes out.
        sha256: of the entries that come out, 32 bytes.
        added, removed: sorted entries, in the file.
    """

    def __init__(self, store: Store, name: str, frame: Frame, kind: int) -> None:
        head = store.read_at(name, frame.start, min(_CHANGE_HEAD_BYTES, frame.size))
        numbers = []
        at = 1
        for key in range(4):
            value, at = _read_unsigned(head, at, key)
            numbers.append(value)
        self.from_number, self.to_number = numbers[2], numbers[3]
        self.sha256 = head[at + 3 : at + 35]
        said: dict[int, int | bytes] = {0: 1, 1: kind, 2: self.from_number, 3: self.to_number, 4: self.sha256}
        begin = cbor.map_head(7) + cbor.encode_items(said)
        if head[: len(begin)] != begin or not self.from_number < self.to_number <= U32_MAX or len(self.sha256) != 32:
            raise DocumentError("list delta: not one of such a list")
        added_at, added = _read_entries_head(store, name, frame, len(begin), 5)
        removed_at, removed = _read_entries_head(store, name, frame, added_at + added * LIST_ENTRY_BYTES, 6)
        if removed_at + removed * LIST_ENTRY_BYTES != frame.size or added + removed > LIST_DELTA_ENTRIES_MAX:
            raise DocumentError("list delta: not as many entries as it should have")
        self.added = StoredList(store, name, kind, 0, 0, added, frame.start + added_at)
        self.removed = StoredList(store, name, kind, 0, 0, removed, frame.start + removed_at)
        for entries in (self.added, self.removed):
            if [index for index in range(1, len(entries)) if entries.at(index - 1) >= entries.at(index)]:
                raise DocumentError("entries are sorted, each once")


def _read_entries_head(store: Store, name: str, frame: Frame, at: int, key: int) -> tuple[int, int]:
    """Return where the entries of a list begin under a key of a map in the payload, and how many they are."""
    head = store.read_at(name, frame.start + at, 4) if at < frame.size else b""
    for size in range(3):
        count_bytes = int.from_bytes(head[2 : 2 + size], "big") if size else (head[1] & 0x1F if len(head) > 1 else 0)
        begin = bytes((key,)) + cbor.byte_string_head(count_bytes)
        if count_bytes % LIST_ENTRY_BYTES == 0 and head[: len(begin)] == begin and len(begin) == 2 + size:
            return at + len(begin), count_bytes // LIST_ENTRY_BYTES
    raise DocumentError("list delta: entries are byte strings of 8 bytes each")


def _read_unsigned(data: bytes, at: int, key: int) -> tuple[int, int]:
    """Return the unsigned integer of a map's entry, and where the next entry begins."""
    if len(data) < at + 2 or data[at] != key or data[at + 1] > 0x1A:
        raise DocumentError("list: other keys than it should have")
    size = 1 << max(data[at + 1] - 24, 0) if data[at + 1] >= 24 else 0
    value = int.from_bytes(data[at + 2 : at + 2 + size], "big") if size else data[at + 1]
    return value, at + 2 + size
