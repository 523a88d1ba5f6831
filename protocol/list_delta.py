"""What has changed in a list of media since another number (SPEC.md "List delta"), and how a validator applies it.

A change leads from the list of one number to that of another, and names the hash of what must come out. Where it does not lead
on from the list held, or something else comes out, the list must be fetched whole. It travels as COSE_Sign1 with typ
"list-delta".
"""

from __future__ import annotations

from protocol import cbor
from protocol.compat import const, sha256
from protocol.errors import DocumentError, ListGapError, LocalProtocolError
from protocol.fields import U32_MAX, Layout
from protocol.limits import DENY_LIST_ENTRIES_MAX, LIST_DELTA_TOKENS_MAX, LIST_PARTS_MAX
from protocol.medium_list import LIST_ALLOW, LIST_DENY, MediumList, require_sorted
from protocol.tokens import TOKEN_BYTES

DELTA_VERSION = const(1)
_LAYOUT = Layout(
    "list delta", DocumentError, 7, ((4, 32),), ((1, LIST_DENY, LIST_ALLOW), (2, 0, U32_MAX), (3, 1, U32_MAX))
)


class ListDelta:
    """A change of a list.

    Attributes:
        kind: of the list, `LIST_DENY` or `LIST_ALLOW`.
        from_number, to_number: the list that it changes, and the one that comes out.
        sha256: of the tokens that come out, one after another, 32 bytes.
        added, removed: sorted 16-byte tokens, one after another; at most 500 together, none in both.
    """

    __slots__ = ("added", "from_number", "kind", "removed", "sha256", "to_number")

    def __init__(
        self, kind: int, from_number: int, to_number: int, sha256: bytes, added: bytes, removed: bytes
    ) -> None:
        self.kind = kind
        self.from_number = from_number
        self.to_number = to_number
        self.sha256 = sha256
        self.added = added
        self.removed = removed


def make_delta(before: MediumList, after: MediumList) -> ListDelta:
    """Return the change that leads from one list to another of its kind.

    Raises:
        LocalProtocolError: more has changed than a message may carry: the list must be sent whole.
    """
    old = {before.at(index) for index in range(len(before))}
    new = {after.at(index) for index in range(len(after))}
    added, removed = sorted(new - old), sorted(old - new)
    if len(added) + len(removed) > LIST_DELTA_TOKENS_MAX:
        raise LocalProtocolError("more than " + str(LIST_DELTA_TOKENS_MAX) + " tokens have changed")
    return ListDelta(after.kind, before.number, after.number, sha256(after.tokens), b"".join(added), b"".join(removed))


def encode_delta(delta: ListDelta) -> bytes:
    return cbor.encode(
        {
            0: DELTA_VERSION,
            1: delta.kind,
            2: delta.from_number,
            3: delta.to_number,
            4: delta.sha256,
            5: delta.added,
            6: delta.removed,
        }
    )


def decode_delta(payload: bytes, kind: int = LIST_DENY) -> ListDelta:
    """Return the change of a list of that kind.

    Raises:
        DocumentError: the payload is not one.
    """
    fields = _LAYOUT.read(payload)
    added, removed = fields[5], fields[6]
    if fields[1] != kind or fields[2] >= fields[3]:
        raise DocumentError("list delta: of another kind, or not to a later number")
    if not (isinstance(added, bytes) and isinstance(removed, bytes)):
        raise DocumentError("list delta: tokens are byte strings")
    if len(added) % TOKEN_BYTES or len(removed) % TOKEN_BYTES:
        raise DocumentError("list delta: tokens have " + str(TOKEN_BYTES) + " bytes")
    if len(added) + len(removed) > LIST_DELTA_TOKENS_MAX * TOKEN_BYTES:
        raise DocumentError("list delta: more tokens than it may have")
    require_sorted(added)
    require_sorted(removed)
    gone = MediumList(kind, 0, 0, removed)
    for start in range(0, len(added), TOKEN_BYTES):
        if gone.holds(added[start : start + TOKEN_BYTES]):
            raise DocumentError("list delta: a token is added and removed")
    return ListDelta(fields[1], fields[2], fields[3], fields[4], added, removed)


def apply_delta(held: MediumList, delta: ListDelta) -> MediumList:
    """Return the list that comes out; the one held stays as it is, and no third copy is made.

    Raises:
        ListGapError: the change is of another list, or something else comes out than it should: fetch the list whole.
    """
    if (held.kind, held.number) != (delta.kind, delta.from_number):
        raise ListGapError("the change is of list " + str(delta.from_number) + ", not of the one held")
    added = MediumList(delta.kind, 0, 0, delta.added)
    removed = MediumList(delta.kind, 0, 0, delta.removed)
    if [index for index in range(len(added)) if held.holds(added.at(index))]:
        raise ListGapError("a token that is added is there")
    if [index for index in range(len(removed)) if not held.holds(removed.at(index))]:
        raise ListGapError("a token that is removed is not there")
    size = len(held.tokens) + len(delta.added) - len(delta.removed)
    if size > DENY_LIST_ENTRIES_MAX * LIST_PARTS_MAX * TOKEN_BYTES:
        raise ListGapError("a longer list than may be comes out")
    tokens = bytearray(size)
    _merge(held, added, removed, tokens)
    if sha256(tokens) != delta.sha256:
        raise ListGapError("another list comes out than should")
    return MediumList(held.kind, delta.to_number, held.expires_s, tokens)


def _merge(held: MediumList, added: MediumList, removed: MediumList, tokens: bytearray) -> None:
    """Write the tokens that come out: what stays between two changes is copied in one piece."""
    # Views on both sides: a slice of a bytearray is filled by way of a copy.
    old, new = memoryview(held.tokens), memoryview(tokens)
    read = written = comes = goes = 0
    while comes < len(added) or goes < len(removed):
        is_added = goes == len(removed) or (comes < len(added) and added.at(comes) < removed.at(goes))
        token = added.at(comes) if is_added else removed.at(goes)
        end = held.place(token) * TOKEN_BYTES
        new[written : written + end - read] = old[read:end]
        written += end - read
        read = end
        if is_added:
            new[written : written + TOKEN_BYTES] = token
            written += TOKEN_BYTES
            comes += 1
        else:
            read += TOKEN_BYTES
            goes += 1
    new[written:] = old[read:]
