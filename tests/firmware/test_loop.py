"""The cooperative loop: order, moments, ports and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.loop import Flag, Loop
from tests.firmware.bench_board import BenchBoard, BenchPort, run_for
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from typing import Any


class Bench:
    def __init__(self) -> None:
        self.board = BenchBoard()
        self.loop = Loop(self.board)
        self.log: list[Any] = []

    def note(self, what: object) -> None:
        self.log.append((self.board.now_ms, what))

    def run(self, duration_ms: int = 10_000) -> list[Any]:
        run_for(self.board, self.loop, duration_ms)
        return self.log


def test_tasks_begin_in_the_order_in_which_they_were_spawned() -> None:
    bench = Bench()

    async def task(name: str) -> None:
        bench.note(name)
        await bench.loop.pause()
        bench.note(name)

    for name in "abc":
        bench.loop.spawn(task(name))
    assert bench.run() == [(0, each) for each in "abcabc"]


def test_a_sleep_ends_at_its_moment() -> None:
    bench = Bench()

    async def task(duration_ms: int) -> None:
        await bench.loop.sleep_ms(duration_ms)
        bench.note(duration_ms)
        await bench.loop.sleep_ms(duration_ms)
        bench.note(duration_ms)

    for duration_ms in (300, 200, 0):
        bench.loop.spawn(task(duration_ms))
    assert bench.run() == [(0, 0), (0, 0), (200, 200), (300, 300), (400, 200), (600, 300)]


def test_a_task_has_the_validator_to_itself_between_two_awaits() -> None:
    bench = Bench()

    async def child() -> None:
        bench.note("child")

    async def parent() -> None:
        bench.loop.spawn(child())
        bench.note("parent")
        await bench.loop.pause()
        bench.note("parent again")

    bench.loop.spawn(parent())
    assert [what for _, what in bench.run()] == ["parent", "child", "parent again"]


def test_a_port_wakes_its_task_before_the_time_is_up() -> None:
    bench = Bench()
    port = BenchPort()

    async def task() -> None:
        bench.note(await bench.loop.port_ready(port, 1_000))
        bench.note(port.read())
        bench.note(await bench.loop.port_ready(port, 2_000))

    bench.loop.spawn(task())
    bench.board.after(400, lambda: port.give(b"data"))
    assert bench.run() == [(400, True), (400, b"data"), (2_000, False)]


def test_what_has_arrived_needs_no_waiting() -> None:
    bench = Bench()
    port = BenchPort()
    port.give(b"data")

    async def task() -> None:
        bench.note(await bench.loop.port_ready(port, None))

    bench.loop.spawn(task())
    assert bench.loop.run_ready() == 1
    assert bench.log == [(0, True)]


def test_a_closed_port_is_ready() -> None:
    bench = Bench()
    port = BenchPort()

    async def task() -> None:
        bench.note(await bench.loop.port_ready(port, None))

    bench.loop.spawn(task())
    bench.board.after(70, port.close)
    assert bench.run() == [(70, True)]


def test_a_flag_wakes_who_waits_and_stays_up_until_lowered() -> None:
    bench = Bench()
    flag = Flag()

    async def task() -> None:
        bench.note(await bench.loop.port_ready(flag, 1_000))
        bench.note(await bench.loop.port_ready(flag, 1_000))
        flag.lower()
        bench.note(await bench.loop.port_ready(flag, 1_000))

    bench.loop.spawn(task())
    bench.board.after(30, flag.raise_)
    assert bench.run() == [(30, True), (30, True), (1_000, False)]


def test_the_loop_sleeps_until_the_next_moment_and_ends_with_its_tasks() -> None:
    bench = Bench()

    async def task() -> None:
        await bench.loop.sleep_ms(500)
        bench.note("done")

    bench.loop.spawn(task())
    bench.loop.run()
    assert bench.log == [(500, "done")]
    assert bench.loop.next_deadline_ms() is None


def test_the_next_moment_is_the_earliest() -> None:
    bench = Bench()
    for duration_ms in (900, 100, 500):
        bench.loop.spawn(bench.loop.sleep_ms(duration_ms))
    bench.loop.run_ready()
    assert bench.loop.next_deadline_ms() == 100


def test_a_task_that_fails_ends_the_program() -> None:
    bench = Bench()

    async def task() -> None:
        await bench.loop.pause()
        raise ValueError("half alive")

    bench.loop.spawn(task())
    assert refusal(ValueError, bench.loop.run) == "half alive"
