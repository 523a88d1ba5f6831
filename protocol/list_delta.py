"""What has changed in a list of media since another number (SPEC.md "List delta"), and how a validator applies it.

A change leads from the list of one number to that of another, and names the hash of what must come out. Where it does not lead
on from the list held, or something else comes out, the list must be fetched whole. It travels as COSE_Sign1 with typ
"list-delta".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import const, sha256
from protocol.errors import DocumentError, ListGapError, LocalProtocolError
from protocol.fields import U32_MAX, Layout
from protocol.limits import LIST_DELTA_ENTRIES_MAX, LIST_ENTRIES_MAX, LIST_ENTRY_BYTES
from protocol.medium_list import LIST_DENY, LIST_TOP_UP, MediumList, make_list, require_sorted, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DELTA_VERSION = const(1)
_BLOCK_BYTES = const(1024)
_LAYOUT = Layout(
    "list delta", DocumentError, 7, ((4, 32),), ((1, LIST_DENY, LIST_TOP_UP), (2, 0, U32_MAX), (3, 1, U32_MAX))
)


class ListDelta:
    """A change of a list.

    Attributes:
        kind: of the list, `LIST_DENY`, `LIST_ALLOW` or `LIST_TOP_UP`.
        from_number, to_number: the list that it changes, and the one that comes out.
        sha256: of the entries that come out, one after another, 32 bytes.
        added, removed: sorted entries, one after another; at most 1000 together, none in both.
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
    added, removed = bytearray(), bytearray()
    for entry, is_added in _differences(before, after):
        (added if is_added else removed).extend(entry)
        if len(added) + len(removed) > LIST_DELTA_ENTRIES_MAX * LIST_ENTRY_BYTES:
            raise LocalProtocolError("more than " + str(LIST_DELTA_ENTRIES_MAX) + " entries have changed")
    return ListDelta(after.kind, before.number, after.number, sha256(after.entries), bytes(added), bytes(removed))


def make_change(
    held: MediumList, to_number: int, added: Iterable[bytes], removed: Iterable[bytes]
) -> tuple[ListDelta, MediumList]:
    """Return the change by which these media come onto a list and those leave it, and the list that comes out.

    What is there already, or is not there, is no change.

    Raises:
        LocalProtocolError: it is more than a message may carry, or a longer list than may be comes out.
    """
    coming = make_list(held.kind, 0, 0, [token for token in added if not held.holds(token)])
    going = make_list(held.kind, 0, 0, [token for token in removed if held.holds(token)])
    if len(coming) + len(going) > LIST_DELTA_ENTRIES_MAX:
        raise LocalProtocolError("more than " + str(LIST_DELTA_ENTRIES_MAX) + " entries have changed")
    size = len(held.entries) + len(coming.entries) - len(going.entries)
    if size > LIST_ENTRIES_MAX * LIST_ENTRY_BYTES:
        raise LocalProtocolError("a list holds at most " + str(LIST_ENTRIES_MAX) + " media")
    entries = bytearray(size)
    _merge(held, coming, going, entries)
    delta = ListDelta(held.kind, held.number, to_number, sha256(entries), bytes(coming.entries), bytes(going.entries))
    return delta, MediumList(held.kind, to_number, held.expires_s, entries)


def _differences(before: MediumList, after: MediumList) -> Iterator[tuple[bytes, bool]]:
    """Yield in order the entries that only one of two lists has, and whether that is the later one."""
    old, new = memoryview(before.entries), memoryview(after.entries)
    at = new_at = 0
    while at < len(old) or new_at < len(new):
        # Long lists are mostly the same: what is, is passed by whole blocks, then by single entries.
        if old[at : at + _BLOCK_BYTES] == new[new_at : new_at + _BLOCK_BYTES]:
            at, new_at = at + _BLOCK_BYTES, new_at + _BLOCK_BYTES
            continue
        end = at + _BLOCK_BYTES
        while at < end and (at < len(old) or new_at < len(new)):
            entry, other = bytes(old[at : at + LIST_ENTRY_BYTES]), bytes(new[new_at : new_at + LIST_ENTRY_BYTES])
            if entry == other:
                at, new_at = at + LIST_ENTRY_BYTES, new_at + LIST_ENTRY_BYTES
            elif not entry or (other and other < entry):
                new_at += LIST_ENTRY_BYTES
                yield other, True
            else:
                at += LIST_ENTRY_BYTES
                yield entry, False


def join_deltas(first: ListDelta, second: ListDelta) -> ListDelta:
    """Return the change that does what two do, one after the other.

    Raises:
        LocalProtocolError: they do not follow on, or it is more than a message may carry.
    """
    if (first.kind, first.to_number) != (second.kind, second.from_number):
        raise LocalProtocolError("the changes do not follow on")
    parts = [MediumList(first.kind, 0, 0, each) for each in (first.added, second.added, first.removed, second.removed)]
    added = b"".join(union(parts[0], parts[1], parts[2], parts[3]))
    removed = b"".join(union(parts[2], parts[3], parts[0], parts[1]))
    if len(added) + len(removed) > LIST_DELTA_ENTRIES_MAX * LIST_ENTRY_BYTES:
        raise LocalProtocolError("more than " + str(LIST_DELTA_ENTRIES_MAX) + " entries have changed")
    return ListDelta(first.kind, first.from_number, second.to_number, second.sha256, added, removed)


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
        raise DocumentError("list delta: entries are byte strings")
    if len(added) % LIST_ENTRY_BYTES or len(removed) % LIST_ENTRY_BYTES:
        raise DocumentError("list delta: entries have " + str(LIST_ENTRY_BYTES) + " bytes")
    if len(added) + len(removed) > LIST_DELTA_ENTRIES_MAX * LIST_ENTRY_BYTES:
        raise DocumentError("list delta: more entries than it may have")
    require_sorted(added)
    require_sorted(removed)
    gone = MediumList(kind, 0, 0, removed)
    for start in range(0, len(added), LIST_ENTRY_BYTES):
        if gone.holds(added[start : start + LIST_ENTRY_BYTES]):
            raise DocumentError("list delta: an entry is added and removed")
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
        raise ListGapError("an entry that is added is there")
    if [index for index in range(len(removed)) if not held.holds(removed.at(index))]:
        raise ListGapError("an entry that is removed is not there")
    size = len(held.entries) + len(delta.added) - len(delta.removed)
    if size > LIST_ENTRIES_MAX * LIST_ENTRY_BYTES:
        raise ListGapError("a longer list than may be comes out")
    entries = bytearray(size)
    _merge(held, added, removed, entries)
    if sha256(entries) != delta.sha256:
        raise ListGapError("another list comes out than should")
    return MediumList(held.kind, delta.to_number, held.expires_s, entries)


def _merge(held: MediumList, added: MediumList, removed: MediumList, entries: bytearray) -> None:
    """Write the entries that come out: what stays between two changes is copied in one piece."""
    # Views on both sides: a slice of a bytearray is filled by way of a copy.
    old, new = memoryview(held.entries), memoryview(entries)
    read = written = comes = goes = 0
    while comes < len(added) or goes < len(removed):
        is_added = goes == len(removed) or (comes < len(added) and added.at(comes) < removed.at(goes))
        entry = added.at(comes) if is_added else removed.at(goes)
        end = held.place(entry) * LIST_ENTRY_BYTES
        new[written : written + end - read] = old[read:end]
        written += end - read
        read = end
        if is_added:
            new[written : written + LIST_ENTRY_BYTES] = entry
            written += LIST_ENTRY_BYTES
            comes += 1
        else:
            read += LIST_ENTRY_BYTES
            goes += 1
    new[written:] = old[read:]
