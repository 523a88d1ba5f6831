"""A long list that changes a little: its file stays, and what has changed lies beside it, whenever the power fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.list_changing import ListChanger
from firmware.token_list import ChangedList, open_list
from protocol.cose import TYP_LIST_DELTA
from protocol.list_delta import encode_delta, make_delta
from protocol.medium_list import LIST_DENY, MediumList, encode_list
from tests.firmware.bench_board import DictStore, run_to_end
from tests.firmware.test_token_lists import fetch, holding, listed, offer, offer_change, sign, token, with_list

if TYPE_CHECKING:
    from tests.firmware.bench_service import Bench

BEFORE = listed(4, (0, 600))
AFTER = listed(9, (3, 590), (700, 720))
LAST = listed(12, (0, 2), (4, 595), (710, 730))


class PowerCut(Exception):  # noqa: N818
    """The power has failed."""


class FailingStore(DictStore):
    """Files that fail with the power.

    Attributes:
        writes_left: so many more are done; None for all.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__()
        self.files = files
        self.writes_left: int | None = None

    def _count(self) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise PowerCut

    def write(self, name: str, data: bytes) -> None:
        self._count()
        super().write(name, data)

    def append(self, name: str, data: bytes | bytearray | memoryview) -> None:
        half = len(data) // 2
        if self.writes_left == 0:
            super().append(name, data[:half])
        self._count()
        super().append(name, data)

    def rename(self, name: str, new_name: str) -> None:
        self._count()
        super().rename(name, new_name)

    def remove(self, name: str) -> None:
        self._count()
        super().remove(name)


def is_same(held: MediumList | None, expected: MediumList) -> bool:
    """Return whether a list is the one expected, entry by entry."""
    if held is None or (held.number, len(held)) != (expected.number, len(expected)):
        return False
    return held.run(0, len(held)) == bytes(expected.entries)


def files_of(bench: Bench) -> list[str]:
    return sorted(name for name in bench.board.store.files if name.startswith("deny"))


def loaded(bench: Bench) -> MediumList | None:
    task = open_list(bench.board, bench.loop, "deny-list", bench.membership.documents_key)
    return run_to_end(bench.board, bench.loop, task)  # type: ignore[no-any-return]


def change(bench: Bench, before: MediumList, after: MediumList) -> None:
    offer_change(bench, before, after)
    fetch(bench, after.number)


def test_a_change_of_a_long_list_leaves_its_file_as_it_is() -> None:
    bench = with_list(BEFORE)
    kept = bench.board.store.files["deny-list"]
    for before, after in ((BEFORE, AFTER), (AFTER, LAST)):
        change(bench, before, after)
        held = holding(bench)
        assert isinstance(held, ChangedList)
        assert is_same(held, after)
        assert [held.holds(token(number)) for number in range(740)] == [after.holds(token(each)) for each in range(740)]
        assert bench.board.store.files["deny-list"] == kept
        assert files_of(bench) == ["deny-list", "deny-list.changes"]
    assert bench.recorder.versions == (0, 12)
    bench.start()
    run_to_end(bench.board, bench.loop, bench.rules.load())
    assert is_same(holding(bench), LAST)


def test_changes_that_undo_one_another_leave_nothing_beside_the_list() -> None:
    bench = with_list(BEFORE)
    back = listed(10, (0, 600))
    change(bench, BEFORE, AFTER)
    change(bench, AFTER, back)
    assert is_same(holding(bench), back)
    assert len(bench.board.store.files["deny-list.changes"]) == 48


def test_a_run_of_a_changed_list_is_that_run_of_the_list_it_is_now() -> None:
    bench = with_list(BEFORE)
    change(bench, BEFORE, AFTER)
    held = holding(bench)
    for start in (0, 1, 127, 300, len(AFTER) - 1, len(AFTER)):
        for count in (0, 1, 5, 200):
            assert held.run(start, count) == AFTER.run(start, count), (start, count)


def test_many_changes_become_a_new_list() -> None:
    bench = with_list(BEFORE)
    change(bench, BEFORE, AFTER)
    bench.board.store.write("message", sign(encode_delta(make_delta(AFTER, LAST)), TYP_LIST_DELTA))
    changer = ListChanger(bench.board, bench.loop, bench.membership, "deny-list", LIST_DENY, changes_max=20)
    assert run_to_end(bench.board, bench.loop, changer.take(holding(bench), "message")) == 12
    made = changer.put_into_force()
    assert not isinstance(made, ChangedList)
    assert is_same(made, LAST)
    assert is_same(loaded(bench), LAST)
    assert files_of(bench) == ["deny-list"]


def test_a_whole_list_takes_the_place_of_a_list_and_its_changes() -> None:
    bench = with_list(BEFORE)
    change(bench, BEFORE, AFTER)
    offer(bench, 12, [sign(encode_list(LAST))])
    fetch(bench, 12)
    assert is_same(holding(bench), LAST)
    assert is_same(loaded(bench), LAST)
    assert files_of(bench) == ["deny-list"]


def test_spoilt_changes_or_those_of_another_list_count_for_nothing() -> None:
    bench = with_list(BEFORE)
    change(bench, BEFORE, AFTER)
    files = bench.board.store.files
    good = files["deny-list.changes"]
    assert is_same(loaded(bench), AFTER)
    middle = len(good) // 2
    for spoilt in (
        b"",
        good[:-1],
        good[8:],
        good + b"x",
        good[:middle] + bytes((good[middle] ^ 1,)) + good[middle + 1 :],
    ):
        files["deny-list.changes"] = spoilt
        assert is_same(loaded(bench), BEFORE)
    other = with_list(listed(4, (0, 601)))
    other.board.store.files["deny-list.changes"] = good
    assert is_same(loaded(other), listed(4, (0, 601)))


def test_a_power_cut_at_any_write_leaves_the_list_before_or_the_list_after() -> None:
    bench = with_list(BEFORE)
    change(bench, BEFORE, AFTER)
    files = dict(bench.board.store.files)
    files["message"] = sign(encode_delta(make_delta(AFTER, LAST)), TYP_LIST_DELTA)
    for changes_max in (2000, 20):
        outcomes: list[int] = []
        while not outcomes or outcomes[-1] >= 0:
            store = FailingStore(dict(files))
            bench.board.store = store
            held = loaded(bench)
            assert held is not None
            store.writes_left = len(outcomes)
            changer = ListChanger(bench.board, bench.loop, bench.membership, "deny-list", LIST_DENY, changes_max)
            try:
                run_to_end(bench.board, bench.loop, changer.take(held, "message"))
                changer.put_into_force()
                outcomes.append(-1)
            except PowerCut:
                bench.board.store = DictStore()
                bench.board.store.files = store.files
                left = loaded(bench)
                assert is_same(left, AFTER) or is_same(left, LAST), (changes_max, len(outcomes))
                outcomes.append(left.number if left is not None else 0)
        assert outcomes[0] == 9
        assert outcomes[:-1] == sorted(outcomes[:-1])
        assert (12 in outcomes) == (changes_max == 20), (
            "one is in force by its last write, and the other is tidied up after"
        )
        assert len(outcomes) >= 5
