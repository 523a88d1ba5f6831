"""A list that is changed in files comes out as the one that is changed in memory, for any lists; and how it is looked up."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.boards.desktop import FileStore
from firmware.list_building import ListBuilder
from firmware.list_changing import ListChanger
from firmware.token_list import StoredList, open_list
from protocol.cose import TYP_LIST_DELTA
from protocol.errors import ListGapError
from protocol.limits import LIST_ENTRIES_MAX
from protocol.list_delta import apply_delta, encode_delta, make_delta
from protocol.medium_list import LIST_DENY, MediumList, encode_list_parts, make_list
from tests.firmware.bench_board import NOW_S, run_to_end
from tests.firmware.bench_service import Bench
from tests.firmware.test_token_lists import sign, token

if TYPE_CHECKING:
    from pathlib import Path

# Few different tokens, so that lists have much in common.
TOKENS = st.sets(st.integers(0, 400).map(token), max_size=240)
LONG = {token(number) for number in range(1000, 1700)}
BENCH = Bench(sectors=2)


def builder() -> ListBuilder:
    return ListBuilder(BENCH.board, BENCH.loop, BENCH.membership, "deny-list", LIST_DENY)


def kept() -> MediumList | None:
    task = open_list(BENCH.board, BENCH.loop, "deny-list", BENCH.membership.documents_key)
    return run_to_end(BENCH.board, BENCH.loop, task)  # type: ignore[no-any-return]


def put_whole(medium_list: MediumList) -> MediumList:
    made = builder()
    for message in encode_list_parts(medium_list):
        BENCH.board.store.write("message", sign(message))
        run_to_end(BENCH.board, BENCH.loop, made.take_message("message"))
    assert made.is_whole()
    return made.put_into_force()


def tokens_of(medium_list: MediumList) -> bytes:
    return medium_list.run(0, len(medium_list))


def changed(held: MediumList, before: MediumList, after: MediumList, changes_max: int) -> MediumList:
    BENCH.board.store.write("change", sign(encode_delta(make_delta(before, after)), TYP_LIST_DELTA))
    changer = ListChanger(BENCH.board, BENCH.loop, BENCH.membership, "deny-list", LIST_DENY, changes_max)
    assert run_to_end(BENCH.board, BENCH.loop, changer.take(held, "change")) == after.number
    return changer.put_into_force()


@given(st.lists(TOKENS, min_size=2, max_size=6), st.integers(0, 60), st.booleans())
@settings(max_examples=60, deadline=None)
def test_changes_in_files_are_the_changes_in_memory(lists: list[set[bytes]], changes_max: int, is_long: bool) -> None:
    base = LONG if is_long else set()
    made = [make_list(LIST_DENY, number, NOW_S, base | each) for number, each in enumerate(lists, 4)]
    held = put_whole(made[0])
    expected = made[0]
    for before, after in pairwise(made):
        expected = apply_delta(expected, make_delta(before, after))
        held = changed(held, before, after, changes_max)
        opened = kept()
        assert opened is not None
        for each in (held, opened):
            assert (tokens_of(each), each.number) == (bytes(expected.entries), after.number)
            assert all(each.holds(entry) == expected.holds(entry) for entry in lists[0] | lists[-1])
    if made[-1].entries != made[-2].entries:
        with pytest.raises(ListGapError):
            changed(
                held, MediumList(LIST_DENY, held.number, NOW_S, made[-2].entries), renumbered(made[-1]), changes_max
            )


def renumbered(medium_list: MediumList) -> MediumList:
    return MediumList(LIST_DENY, medium_list.number + 1, NOW_S, medium_list.entries)


class Probed(StoredList):
    """A list that counts how often it is read.

    Attributes:
        reads: so often so far.
    """

    reads = 0

    def run(self, start: int, count: int) -> bytes:
        self.reads += 1
        return super().run(start, count)


def test_the_longest_list_there_may_be_is_looked_up_on_disk(tmp_path: Path) -> None:
    """Each is found, none else is, and in few reads."""
    store = FileStore(str(tmp_path))
    tokens = [hashlib.sha256(number.to_bytes(4, "big")).digest()[:16] for number in range(LIST_ENTRIES_MAX)]
    whole = make_list(LIST_DENY, 9, NOW_S, tokens)
    store.write("list", bytes(whole.entries))
    held = Probed(store, "list", LIST_DENY, 9, NOW_S, len(whole))
    assert (len(held), held.entries) == (LIST_ENTRIES_MAX, b"")
    asked = tokens[::997] + [hashlib.sha256(token).digest()[:16] for token in tokens[::997]]
    assert [held.holds(token) for token in asked] == [True] * (len(asked) // 2) + [False] * (len(asked) // 2)
    assert held.reads < 6 * len(asked)


def test_a_list_that_is_not_random_is_looked_up_in_not_many_more_reads(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    entries = [number.to_bytes(8, "big") for number in range(LIST_ENTRIES_MAX)]
    store.write("list", b"".join(entries))
    held = Probed(store, "list", LIST_DENY, 9, NOW_S, len(entries))
    for number in range(0, LIST_ENTRIES_MAX, 9_973):
        held.reads = 0
        assert held.place(entries[number]) == number
        assert held.reads <= 48
    assert held.place(b"\xff" * 8) == LIST_ENTRIES_MAX


def test_a_file_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    for name in "abcdef":
        store.write(name, name.encode() * 4)
        assert store.read_at(name, 1, 2) == name.encode() * 2
    store.append("a", b"xyz")
    assert store.read_at("a", 3, 9) == b"axyz"
    store.rename("a", "b")
    assert store.read_at("b", 3, 9) == b"axyz"
    store.write("b", b"12345")
    assert store.read_at("b", 3, 9) == b"45"
    store.remove("b")
    with pytest.raises(FileNotFoundError):
        store.read_at("b", 0, 1)
