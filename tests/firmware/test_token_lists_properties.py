"""A list that is changed in its file comes out as the one that is changed in memory, for any lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.boards.desktop import FileStore
from firmware.list_building import ListBuilder
from firmware.token_list import StoredList, open_list
from protocol.cose import TYP_LIST_DELTA
from protocol.errors import ListGapError
from protocol.limits import DENY_LIST_ENTRIES_MAX, LIST_PARTS_MAX
from protocol.list_delta import apply_delta, encode_delta, make_delta
from protocol.medium_list import LIST_DENY, MediumList, encode_list_parts, make_list
from tests.firmware.bench_board import NOW_S, DictStore, run_to_end
from tests.firmware.bench_service import Bench
from tests.firmware.test_token_lists import sign, token

if TYPE_CHECKING:
    from pathlib import Path

# Few different tokens, so that lists have much in common.
TOKENS = st.sets(st.integers(0, 400).map(token), max_size=240)
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
    made.put_into_force()
    held = kept()
    assert held is not None
    return held


def tokens_of(medium_list: MediumList) -> bytes:
    return b"".join(medium_list.at(index) for index in range(len(medium_list)))


@given(TOKENS, TOKENS)
@settings(max_examples=60, deadline=None)
def test_a_change_in_a_file_is_the_change_in_memory(before: set[bytes], after: set[bytes]) -> None:
    old, new = (make_list(LIST_DENY, number, NOW_S, list(each)) for number, each in ((4, before), (5, after)))
    held = put_whole(old)
    assert tokens_of(held) == tokens_of(old)
    delta = make_delta(old, new)
    BENCH.board.store.write("change", sign(encode_delta(delta), TYP_LIST_DELTA))
    made = builder()
    run_to_end(BENCH.board, BENCH.loop, made.take_change(held, "change"))
    made.put_into_force()
    changed = kept()
    assert changed is not None
    assert (tokens_of(changed), changed.number) == (tokens_of(apply_delta(old, delta)), 5)
    if before != after:
        try:
            run_to_end(BENCH.board, BENCH.loop, builder().take_change(changed, "change"))
        except ListGapError:
            return
        raise AssertionError("a change was applied twice")


def test_the_longest_list_there_may_be_is_looked_up_on_disk(tmp_path: Path) -> None:
    count = DENY_LIST_ENTRIES_MAX * LIST_PARTS_MAX
    BENCH.board.store = FileStore(str(tmp_path))  # type: ignore[assignment]
    try:
        held = put_whole(make_list(LIST_DENY, 9, NOW_S, [token(number) for number in range(count)]))
    finally:
        BENCH.board.store = DictStore()
    assert isinstance(held, StoredList)
    assert (len(held), held.tokens) == (24_000, b"")
    assert all(held.holds(token(number)) for number in range(0, count, 997))
    assert not any(held.holds(token(number)) for number in range(count, 2 * count, 997))
