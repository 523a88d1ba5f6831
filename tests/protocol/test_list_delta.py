"""Lists in parts, and changes of lists: the right list comes out, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import sha256
from protocol.errors import DocumentError, ListGapError, LocalProtocolError
from protocol.limits import LIST_DELTA_ENTRIES_MAX, LIST_ENTRIES_MAX, LIST_PARTS_MAX
from protocol.list_delta import apply_delta, decode_delta, encode_delta, make_change, make_delta
from protocol.medium_list import (
    LIST_ALLOW,
    LIST_DENY,
    ListPart,
    MediumList,
    decode_list,
    decode_list_part,
    encode_list,
    encode_list_part,
    join_parts,
    make_list,
)
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from typing import Any

_TOKENS = [sha256(str(number).encode())[:16] for number in range(60)]
_HELD = make_list(LIST_DENY, 10, 2000, _TOKENS[:40])
_NEXT = make_list(LIST_DENY, 12, 3000, _TOKENS[20:])
_DELTA = make_delta(_HELD, _NEXT)


def _numbered(first: int, count: int) -> MediumList:
    entries = bytearray(8 * count)
    for index in range(count):
        entries[8 * index : 8 * index + 3] = (first + index).to_bytes(3, "big")
    return MediumList(LIST_DENY, 10, 2000, entries)


def test_a_change_leads_from_one_list_to_the_other() -> None:
    delta = decode_delta(encode_delta(_DELTA))
    assert (len(delta.added), len(delta.removed)) == (20 * 8, 20 * 8)
    after = apply_delta(_HELD, delta)
    assert after.entries == _NEXT.entries
    # A change moves no expiry.
    assert (after.kind, after.number, after.expires_s) == (LIST_DENY, 12, 2000)
    assert [after.holds(token) for token in _TOKENS] == [False] * 20 + [True] * 40


def test_the_list_held_stays_as_it_is() -> None:
    before = bytes(_HELD.entries)
    apply_delta(_HELD, _DELTA)
    assert _HELD.entries == before
    assert _HELD.number == 10


def test_a_change_is_made_of_what_comes_and_what_goes() -> None:
    delta, after = make_change(_HELD, 12, _TOKENS[35:45] + _TOKENS[40:41], _TOKENS[:5] + _TOKENS[50:])
    assert (len(delta.added), len(delta.removed)) == (5 * 8, 5 * 8)
    assert after.entries == make_list(LIST_DENY, 12, 2000, _TOKENS[5:45]).entries
    assert (after.number, after.expires_s) == (12, 2000)
    assert apply_delta(_HELD, decode_delta(encode_delta(delta))).entries == after.entries
    nothing, same = make_change(_HELD, 12, _TOKENS[:1], _TOKENS[50:])
    assert (nothing.added, nothing.removed, same.entries) == (b"", b"", _HELD.entries)


def test_a_change_that_is_too_long_or_makes_the_list_too_long_is_refused() -> None:
    tokens = [number.to_bytes(8, "big") for number in range(LIST_DELTA_ENTRIES_MAX + 1)]
    assert refusal(LocalProtocolError, make_change, _HELD, 12, tokens, ())
    as_long_as_may_be: Any = range(LIST_ENTRIES_MAX * 8)
    full = _Untouched(LIST_DENY, 10, 2000, as_long_as_may_be)
    assert refusal(LocalProtocolError, make_change, full, 12, [b"new entry"], ())


class _Untouched(MediumList):
    """A list of which only the size is looked at."""

    def holds(self, token: bytes) -> bool:
        del token
        return False


def test_changes_follow_on_from_one_another() -> None:
    last = make_list(LIST_DENY, 13, 3000, _TOKENS[:1])
    after = apply_delta(apply_delta(_HELD, _DELTA), make_delta(_NEXT, last))
    assert after.entries == last.entries
    assert after.number == 13


def test_a_change_of_nothing_and_to_nothing_and_from_nothing() -> None:
    nothing = make_list(LIST_DENY, 11, 3000, [])
    assert len(apply_delta(_HELD, make_delta(_HELD, nothing))) == 0
    assert apply_delta(nothing, make_delta(nothing, _NEXT)).entries == _NEXT.entries
    same = make_list(LIST_DENY, 11, 3000, _TOKENS[:40])
    assert apply_delta(_HELD, make_delta(_HELD, same)).entries == _HELD.entries


def test_a_change_of_another_number_or_kind_is_a_gap() -> None:
    for number in (9, 11, 12):
        other = MediumList(LIST_DENY, number, 2000, _HELD.entries)
        assert refusal(ListGapError, apply_delta, other, _DELTA)
    assert refusal(ListGapError, apply_delta, MediumList(LIST_ALLOW, 10, 2000, _HELD.entries), _DELTA)


def test_a_list_that_is_not_what_it_should_be_is_a_gap() -> None:
    for tokens in (_TOKENS[:39], _TOKENS[1:40], _TOKENS[:41], [], _TOKENS[5:45]):
        assert refusal(ListGapError, apply_delta, make_list(LIST_DENY, 10, 2000, tokens), _DELTA)
    wrong = decode_delta(encode_delta(_DELTA))
    wrong.sha256 = sha256(b"")
    assert "should" in refusal(ListGapError, apply_delta, _HELD, wrong)


def test_more_change_than_a_message_carries_is_not_made_and_not_read() -> None:
    nothing = MediumList(LIST_DENY, 9, 2000, b"")
    most = _numbered(1, LIST_DELTA_ENTRIES_MAX)
    delta = decode_delta(encode_delta(make_delta(nothing, most)))
    assert len(delta.added) == LIST_DELTA_ENTRIES_MAX * 8
    assert refusal(LocalProtocolError, make_delta, nothing, _numbered(1, LIST_DELTA_ENTRIES_MAX + 1))
    delta.removed = b"\xff" * 8
    assert "more entries" in refusal(DocumentError, decode_delta, encode_delta(delta))


def test_what_is_no_change_is_refused() -> None:
    whole = cbor.decode(encode_delta(_DELTA))
    low, high = whole[5][:8], whole[5][8:16]
    for key, value in (
        (0, 2),
        (1, LIST_ALLOW),
        (1, 3),
        (2, -1),
        (2, 12),
        (3, 10),
        (3, 1 << 32),
        (4, bytes(31)),
        (5, high + low),
        (5, low + low),
        (5, low[:7]),
        (5, "x" * 8),
        (6, low),
        (6, low[:4]),
        (6, []),
        (7, 0),
    ):
        changed = dict(whole)
        changed[key] = value
        assert refusal(DocumentError, decode_delta, cbor.encode(changed)), (key, value)


def test_a_list_is_of_the_kind_that_was_asked_for() -> None:
    allow = encode_list(make_list(LIST_ALLOW, 3, 2000, _TOKENS[:2]))
    assert decode_list(allow, LIST_ALLOW).kind == LIST_ALLOW
    assert "kind" in refusal(DocumentError, decode_list, allow)
    assert refusal(DocumentError, decode_list, encode_list(_HELD), LIST_ALLOW)


def _part(number: int, part: int, parts: int, tokens: list[bytes]) -> ListPart:
    return decode_list_part(
        encode_list_part(ListPart(make_list(LIST_DENY, number, 2000, tokens), part, parts)), LIST_DENY
    )


def test_parts_that_are_not_all_of_one_list_in_order_are_not_joined() -> None:
    low, middle, high = sorted(_TOKENS[:3])
    first, second, third = _part(10, 1, 3, [low]), _part(10, 2, 3, [middle]), _part(10, 3, 3, [high])
    assert len(join_parts([first, second, third])) == 3
    for wrong in (
        [],
        [first],
        [first, second],
        [first, third, second],
        [first, second, second],
        [first, second, third, third],
        [first, second, _part(11, 3, 3, [high])],
        [first, _part(10, 2, 3, [high]), _part(10, 3, 3, [middle])],
        [first, _part(10, 2, 3, [low]), third],
    ):
        assert refusal(DocumentError, join_parts, wrong)


def test_what_is_no_part_is_refused() -> None:
    whole = cbor.decode(encode_list_part(ListPart(_HELD, 2, 3)))
    for key, value in ((6, 0), (6, 4), (7, 1), (7, LIST_PARTS_MAX + 1), (6, True)):
        changed = dict(whole)
        changed[key] = value
        assert refusal(DocumentError, decode_list_part, cbor.encode(changed), LIST_DENY)
    for key in (6, 7):
        lacking = {each: value for each, value in whole.items() if each != key}
        assert refusal(DocumentError, decode_list_part, cbor.encode(lacking), LIST_DENY)
    empty = ListPart(make_list(LIST_DENY, 10, 2000, []), 2, 3)
    assert refusal(DocumentError, decode_list_part, encode_list_part(empty), LIST_DENY)


def test_a_list_of_one_part_is_the_list() -> None:
    whole = make_list(LIST_DENY, 7, 2000, [_TOKENS[0], _TOKENS[1]])
    assert encode_list_part(ListPart(whole, 1, 1)) == encode_list(whole)


def test_a_change_of_no_known_list_is_refused() -> None:
    fields = cbor.decode(encode_delta(_DELTA))
    for kind in (-1, LIST_DENY + LIST_ALLOW + 7):
        assert refusal(DocumentError, decode_delta, cbor.encode(fields | {1: kind}))
