"""Any list changed into any other, the longest lists, and how much memory a change takes."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DocumentError, ListGapError, LocalProtocolError
from protocol.limits import (
    LIST_DELTA_ENTRIES_MAX,
    LIST_ENTRIES_MAX,
    LIST_PART_ENTRIES_MAX,
    LIST_PARTS_MAX,
    MESSAGE_BYTES_MAX,
)
from protocol.list_delta import apply_delta, decode_delta, encode_delta, join_deltas, make_delta
from protocol.medium_list import (
    LIST_DENY,
    MediumList,
    decode_list,
    decode_list_part,
    encode_list,
    encode_list_parts,
    join_parts,
    make_list,
)

# Few bytes, so that lists meet.
_TOKENS = st.integers(0, 60).map(lambda number: number.to_bytes(8, "big"))
_LISTS = st.sets(_TOKENS, max_size=40)
_LONGEST = LIST_ENTRIES_MAX


def _numbered(first: int, count: int, number: int = 10) -> MediumList:
    entries = b"".join(each.to_bytes(8, "big") for each in range(first, first + count))
    return MediumList(LIST_DENY, number, 2000, entries)


@given(_LISTS, _LISTS)
def test_any_list_becomes_any_other(before: set[bytes], after: set[bytes]) -> None:
    held, wanted = make_list(LIST_DENY, 1, 2000, list(before)), make_list(LIST_DENY, 2, 2000, list(after))
    result = apply_delta(held, decode_delta(encode_delta(make_delta(held, wanted))))
    assert result.entries == wanted.entries
    assert result.number == 2


@given(_LISTS, _LISTS, _LISTS)
def test_two_changes_joined_are_the_change_from_the_first_list_to_the_last(
    before: set[bytes], between: set[bytes], after: set[bytes]
) -> None:
    lists = [make_list(LIST_DENY, number, 2000, each) for number, each in enumerate((before, between, after))]
    joined = join_deltas(make_delta(lists[0], lists[1]), make_delta(lists[1], lists[2]))
    assert encode_delta(joined) == encode_delta(make_delta(lists[0], lists[2]))
    with pytest.raises(LocalProtocolError):
        join_deltas(make_delta(lists[1], lists[2]), make_delta(lists[0], lists[1]))


def test_two_changes_that_are_too_much_together_are_not_joined() -> None:
    lists = [_numbered(1, 1 + 600 * number, number) for number in range(3)]
    with pytest.raises(LocalProtocolError):
        join_deltas(make_delta(lists[0], lists[1]), make_delta(lists[1], lists[2]))


@given(st.sets(st.integers(0, 3000), max_size=12), st.sets(st.integers(0, 3000), max_size=12))
def test_what_little_has_changed_in_a_long_list_is_found(added: set[int], removed: set[int]) -> None:
    before = {2 * number for number in range(3000)}
    after = before - {2 * number for number in removed} | {2 * number + 1 for number in added}
    lists = [
        make_list(LIST_DENY, 1 + (each is after), 2000, (number.to_bytes(8, "big") for number in each))
        for each in (before, after)
    ]
    delta = make_delta(*lists)
    assert (len(delta.added), len(delta.removed)) == (8 * len(after - before), 8 * len(before - after))
    assert apply_delta(lists[0], delta).entries == lists[1].entries


@given(_LISTS, _LISTS, _LISTS)
def test_a_change_of_another_list_leads_to_the_right_one_or_to_none(
    before: set[bytes], after: set[bytes], other: set[bytes]
) -> None:
    wanted = make_list(LIST_DENY, 2, 2000, list(after))
    delta = make_delta(make_list(LIST_DENY, 1, 2000, list(before)), wanted)
    held = make_list(LIST_DENY, 1, 2000, list(other))
    if before == other:
        assert apply_delta(held, delta).entries == wanted.entries
    else:
        with pytest.raises(ListGapError):
            apply_delta(held, delta)


@given(st.integers(1, 3 * LIST_PART_ENTRIES_MAX + 1))
def test_a_list_of_any_length_comes_back_from_its_parts(count: int) -> None:
    whole = _numbered(1, count)
    payloads = encode_list_parts(whole)
    assert len(payloads) == -(-count // LIST_PART_ENTRIES_MAX)
    assert max(map(len, payloads)) < MESSAGE_BYTES_MAX - 256
    joined = join_parts([decode_list_part(payload, LIST_DENY) for payload in payloads])
    assert (joined.kind, joined.number, joined.expires_s) == (LIST_DENY, 10, 2000)
    assert joined.entries == whole.entries
    if len(payloads) > 1:
        with pytest.raises(DocumentError):
            decode_list(payloads[0])
        with pytest.raises(LocalProtocolError):
            encode_list(whole)
    else:
        assert decode_list(payloads[0]).entries == whole.entries


def test_the_longest_list_has_all_the_parts_and_grows_no_more() -> None:
    longest = _numbered(1, _LONGEST)
    assert len(encode_list_parts(longest)) == LIST_PARTS_MAX
    assert LIST_PARTS_MAX * LIST_PART_ENTRIES_MAX == LIST_ENTRIES_MAX
    delta = make_delta(_numbered(1, 0), _numbered(_LONGEST + 1, 1, 11))
    with pytest.raises(ListGapError, match="longer"):
        apply_delta(longest, delta)
    with pytest.raises(LocalProtocolError):
        make_list(LIST_DENY, 1, 2000, [number.to_bytes(8, "big") for number in range(_LONGEST + 1)])


def test_a_change_takes_no_more_memory_than_the_list_again() -> None:
    count = 50_000
    held = _numbered(1, count - LIST_DELTA_ENTRIES_MAX)
    delta = make_delta(held, _numbered(1, count, 11))
    tracemalloc.start()
    try:
        after = apply_delta(held, delta)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < len(after.entries) + 16_384
