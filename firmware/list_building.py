"""The next list of media, made of what the service sends: whole messages in parts, or a change of the list held.

Nothing of a list is ever in memory as a whole. A message is received into a file and verified where it lies; from there its
tokens go into the file of the next list, a piece at a time; and that takes the place of the list held by one renaming.
Loaded when a list is to be changed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware.signing import finish
from firmware.token_list import PIECE_BYTES, StoredList, encode_trailer
from protocol import cbor, cose
from protocol.compat import const
from protocol.cose import KID_BYTES, TYP_LIST, TYP_LIST_DELTA
from protocol.errors import BadCose, BadSignature, DocumentError, ListGapError, UnknownKid
from protocol.fields import U32_MAX
from protocol.keyset import ROLE_LIST
from protocol.limits import DENY_LIST_ENTRIES_MAX, LIST_DELTA_TOKENS_MAX, LIST_PARTS_MAX
from protocol.medium_list import ListPart, MediumList, decode_list_part, encode_list_part
from protocol.tokens import TOKEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.boards.board import Board, Store
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
    """Return what a message of a list says, without its tokens, and where these begin in the file.

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
    if count > DENY_LIST_ENTRIES_MAX:
        raise DocumentError("list: more tokens than a message may have")
    end_at = at + 1 + len(cbor.byte_string_head(count * TOKEN_BYTES)) + count * TOKEN_BYTES
    end = store.read_at(name, frame.start + end_at, frame.size - end_at) if end_at < frame.size else b""
    part = parts = 1
    if end:
        part, after = _read_unsigned(end, 0, 6)
        parts, after = _read_unsigned(end, after, 7)
    # With one token in place of all, what it says of itself is checked as that of any list.
    one = ListPart(MediumList(kind_read, number, expires_s, bytes(TOKEN_BYTES if count else 0)), part, parts)
    decode_list_part(encode_list_part(one), kind)
    said: dict[int, int] = {0: 1, 1: kind, 2: number, 3: expires_s, 4: count}
    tail = cbor.encode_items({6: part, 7: parts}) if parts > 1 else b""
    begin = (
        cbor.map_head(8 if tail else 6) + cbor.encode_items(said) + b"\x05" + cbor.byte_string_head(count * TOKEN_BYTES)
    )
    if head[: len(begin)] != begin or end != tail or frame.size != end_at + len(tail):
        raise DocumentError("list: not the one encoding of it")
    whole = StoredList(store, name, kind, number, expires_s, count)
    return ListPart(whole, part, parts), frame.start + len(begin)


class Change:
    """A message of what has changed in a list (SPEC.md "List delta"), read where it lies.

    Attributes:
        from_number, to_number: the list that it changes, and the one that comes out.
        sha256: of the tokens that come out, 32 bytes.
        added, removed: sorted tokens, in the file.
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
        added_at, added = _read_tokens_head(store, name, frame, len(begin), 5)
        removed_at, removed = _read_tokens_head(store, name, frame, added_at + added * TOKEN_BYTES, 6)
        if removed_at + removed * TOKEN_BYTES != frame.size or added + removed > LIST_DELTA_TOKENS_MAX:
            raise DocumentError("list delta: not as many tokens as it should have")
        self.added = StoredList(store, name, kind, 0, 0, added, frame.start + added_at)
        self.removed = StoredList(store, name, kind, 0, 0, removed, frame.start + removed_at)
        for tokens in (self.added, self.removed):
            if [index for index in range(1, len(tokens)) if tokens.at(index - 1) >= tokens.at(index)]:
                raise DocumentError("tokens are sorted, each once")


def _read_tokens_head(store: Store, name: str, frame: Frame, at: int, key: int) -> tuple[int, int]:
    """Return where the tokens of a map's entry begin in the payload, and how many they are."""
    head = store.read_at(name, frame.start + at, 4) if at < frame.size else b""
    for size in range(3):
        count_bytes = int.from_bytes(head[2 : 2 + size], "big") if size else (head[1] & 0x1F if len(head) > 1 else 0)
        begin = bytes((key,)) + cbor.byte_string_head(count_bytes)
        if count_bytes % TOKEN_BYTES == 0 and head[: len(begin)] == begin and len(begin) == 2 + size:
            return at + len(begin), count_bytes // TOKEN_BYTES
    raise DocumentError("list delta: tokens are byte strings of 16 bytes each")


def _read_unsigned(data: bytes, at: int, key: int) -> tuple[int, int]:
    """Return the unsigned integer of a map's entry, and where the next entry begins."""
    if len(data) < at + 2 or data[at] != key or data[at + 1] > 0x1A:
        raise DocumentError("list: other keys than it should have")
    size = 1 << max(data[at + 1] - 24, 0) if data[at + 1] >= 24 else 0
    value = int.from_bytes(data[at + 2 : at + 2 + size], "big") if size else data[at + 1]
    return value, at + 2 + size


class ListBuilder:
    """The next list, as it grows in a file of its own.

    Attributes:
        part, parts: which message is expected next, of how many.
    """

    def __init__(self, board: Board, loop: Loop, membership: Membership, name: str, kind: int) -> None:
        self._store = board.store
        self._loop = loop
        self._membership = membership
        self._name = name
        self._next = name + ".next"
        self._kind = kind
        self._first: ListPart | None = None
        self._last_token = b""
        self._waiting = b""
        self._count = 0
        self._digest = hashlib.sha256()
        self._sha256 = b""
        self.part, self.parts = 1, 1
        self._store.write(self._next, b"")

    async def take_message(self, message: str) -> None:
        """Take the next part of a list out of a file that holds a signed message.

        Raises:
            ProtocolError: it is not signed by who may, not the part that comes next, or its tokens are not in order.
        """
        frame = Frame(self._store, message, TYP_LIST)
        await verify_file(self._loop, self._membership, self._store, message, frame)
        part, tokens_at = read_part(self._store, message, frame, self._kind)
        first, here = (self._first or part).medium_list, part.medium_list
        self.parts = (self._first or part).parts
        if (part.part, part.parts) != (self.part, self.parts):
            raise DocumentError("list: not the part that comes next")
        if (here.number, here.expires_s) != (first.number, first.expires_s):
            raise DocumentError("list: a part of another one")
        self._first = self._first or part
        for piece in pieces(self._store, message, tokens_at, len(here) * TOKEN_BYTES):
            self._add_all(piece)
            await self._loop.pause()
        self.part += 1

    def is_whole(self) -> bool:
        return self.part > self.parts

    def number(self) -> int:
        """Return the number that the parts name."""
        assert self._first is not None
        return self._first.medium_list.number

    async def take_change(self, held: MediumList, message: str) -> None:
        """Take what comes out when the list held is changed by a signed message in a file.

        Raises:
            ListGapError: the change is of another list, or something else comes out than it should.
            ProtocolError: it is not signed by who may, or no change of such a list.
        """
        frame = Frame(self._store, message, TYP_LIST_DELTA)
        await verify_file(self._loop, self._membership, self._store, message, frame)
        delta = Change(self._store, message, frame, self._kind)
        if held.number != delta.from_number:
            raise ListGapError("the change is of list " + str(delta.from_number) + ", not of the one held")
        old = StoredList(self._store, self._name, held.kind, held.number, held.expires_s, len(held))
        added, removed = delta.added, delta.removed
        read = comes = goes = 0
        while comes < len(added) or goes < len(removed):
            is_added = goes == len(removed) or (comes < len(added) and added.at(comes) < removed.at(goes))
            token = added.at(comes) if is_added else removed.at(goes)
            if not is_added and comes < len(added) and added.at(comes) == token:
                raise DocumentError("list delta: a token is added and removed")
            place = old.place(token)
            if (place < len(old) and old.at(place) == token) == is_added:
                raise ListGapError("a token that is added is there, or one that is removed is not")
            await self._copy(read, place)
            read = place if is_added else place + 1
            if is_added:
                self._add_all(token)
            comes, goes = comes + is_added, goes + (not is_added)
        await self._copy(read, len(old))
        if self._count > DENY_LIST_ENTRIES_MAX * LIST_PARTS_MAX or self._end() != delta.sha256:
            raise ListGapError("another list comes out than should")
        changed = StoredList(self._store, self._next, held.kind, delta.to_number, held.expires_s, self._count)
        self._first = ListPart(changed, 1, 1)

    async def _copy(self, first: int, end: int) -> None:
        """Copy tokens of the list held."""
        for piece in pieces(self._store, self._name, first * TOKEN_BYTES, (end - first) * TOKEN_BYTES):
            self._add_all(piece)
            await self._loop.pause()

    def _add_all(self, tokens: bytes) -> None:
        for start in range(0, len(tokens), TOKEN_BYTES):
            token = tokens[start : start + TOKEN_BYTES]
            if token <= self._last_token:
                raise DocumentError("tokens are sorted, each once")
            self._last_token = token
        self._count += len(tokens) // TOKEN_BYTES
        self._waiting += tokens
        if len(self._waiting) >= PIECE_BYTES:
            self._write_waiting()

    def _write_waiting(self) -> None:
        self._digest.update(self._waiting)
        self._store.append(self._next, self._waiting)
        self._waiting = b""

    def _end(self) -> bytes:
        """Write what waits and return the SHA-256 of all tokens; MicroPython ends a digest once."""
        if not self._sha256:
            self._write_waiting()
            self._sha256 = self._digest.digest()
        return self._sha256

    def put_into_force(self) -> None:
        """Let the list that was made take the place of the one held."""
        assert self._first is not None
        made = self._first.medium_list
        key = self._membership.documents_key
        trailer = encode_trailer(key, self._kind, made.number, made.expires_s, self._end())
        self._store.append(self._next, trailer)
        self._store.rename(self._next, self._name)
