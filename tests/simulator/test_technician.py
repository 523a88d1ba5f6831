"""What a technician does with a whole validator: another key, the end of its service, and a new life."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from firmware import app, retiring
from firmware.keys import load_membership
from firmware.starting import NotEnrolled
from protocol.ack import STATUS_BUSY
from protocol.cose import parse
from protocol.rotation import decode_retirement
from simulator.runtimes import start_command
from tests.firmware.bench_board import body_of, run_for
from tests.firmware.bench_service import MINUTE_MS
from tests.firmware.test_enrol import Office, try_to_enrol
from tests.firmware.test_leaving import identity_of, leaving
from tests.protocol.expect import refusal
from tests.simulator.street import Stand

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator.street import Office as Street


def test_a_technician_is_told_how_the_rotation_went() -> None:
    for change, code in (({}, "0"), ({"status": STATUS_BUSY}, "1")):
        bench = leaving()
        bench.service.change = change
        old = bench.identity.kid
        loop = app.start(bench.board, task="rotate")
        assert refusal(SystemExit, run_for, bench.board, loop, MINUTE_MS) == code  # type: ignore[arg-type]
        assert (identity_of(bench.board).kid == old) == (code == "1")
        assert bench.board.logged[-1].startswith("the service refused" if code == "1" else "the new key counts")


def test_a_device_sends_everything_says_its_last_word_and_erases_itself() -> None:
    bench = leaving()
    bench.tap(50)
    loop = app.start(bench.board, task="retire")
    run_for(bench.board, loop, 10 * MINUTE_MS)
    retirement = decode_retirement(parse(body_of(bench.service.others[0])).payload)
    # Its start is a record, too.
    assert retirement.last_sequence == bench.service.acked == 51
    assert retirement.head == bench.service.head
    assert [name for name in bench.board.store.files if name != "retired"] == []
    assert bench.board.flash.image() == [b"\xff" * 1024] * 8
    assert loop.next_deadline_ms() is None, "there is nothing left to do"
    assert refusal(NotEnrolled, app.start, bench.board)


def test_an_erase_that_was_cut_short_is_brought_to_its_end_when_the_device_enrols_again() -> None:
    bench = leaving()
    bench.tap(3)
    before = bench.identity.device
    bench.board.store.write("retired", b"\x01")
    assert retiring.is_retired(bench.board)
    assert refusal(NotEnrolled, app.start, bench.board)
    bench.board.answer = Office().answer
    try_to_enrol(bench.board)
    assert not retiring.is_retired(bench.board)
    assert identity_of(bench.board).device != before
    assert bench.board.flash.image() == [b"\xff" * 1024] * 8
    assert load_membership(bench.board, identity_of(bench.board)) is not None


@pytest.mark.parametrize("runtime", ["cpython", "micropython32"])
def test_a_validator_changes_its_key_works_on_and_retires_at_the_real_service(
    runtime: str, office: Street, tmp_path: Path
) -> None:
    folder = tmp_path / "validator"
    stand = Stand(office, folder, runtime, seed=str(tmp_path))

    def command(word: str) -> subprocess.CompletedProcess[str]:
        start, environment = start_command(runtime)
        host, port = office.service.address
        return subprocess.run(
            [*start, word, "--state", str(folder), "--server", f"{host}:{port}"],
            env={"PATH": os.environ["PATH"], **environment},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def on_the_street() -> None:
        stand.boot()
        stand.run_for(60_000)
        stand.pay_cash()
        stand.run_for(600_000)
        assert stand.process.is_alive()
        stand.process.kill()

    def known() -> dict[str, object]:
        validators: list[dict[str, object]] = office.service.get("/v1/validators")["validators"]
        return max(
            (each for each in validators if each["vehicle"] == "A-107"), key=lambda each: str(each["enrolled_at_ms"])
        )

    try:
        stand.enrol("A-107")
        on_the_street()
        rotated = command("rotate")
        assert (rotated.returncode, rotated.stderr) == (0, ""), rotated.stdout
        assert "log the new key counts" in rotated.stdout
        before = known()["acked_sequence"]
        on_the_street()
        assert int(str(known()["acked_sequence"])) > int(str(before))
        retired = command("retire")
        assert (retired.returncode, retired.stderr) == (0, ""), retired.stdout
        assert known()["status"] == "retired"
        assert set((folder / "flash.bin").read_bytes()) == {0xFF}
        assert not (folder / "identity").exists()
        assert "not enrolled" in command("retire").stderr
    finally:
        stand.process.close()
