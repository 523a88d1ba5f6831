"""A validator as a child process: the real firmware on each Python, its clock and its current in our hands."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from firmware.boards.desktop import POWER_CUT_EXIT
from simulator.process import ProcessFault
from simulator.runtimes import RuntimeMissing, start_command
from tests.simulator.street import Stand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulator.street import Office

_MINUTE_MS = 60_000


@pytest.fixture(params=["cpython", "micropython"])
def stand(request: pytest.FixtureRequest, office: Office, tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(office, tmp_path / "validator", request.param)
    yield stand
    stand.process.close()


def _lights(stand: Stand) -> list[str]:
    return [line for line in stand.heard if line.startswith(("show ok", "light green"))]


def test_a_validator_runs_in_lock_step_and_sends_what_it_recorded(stand: Stand, office: Office) -> None:
    stand.enrol()
    stand.boot()
    stand.run_for(_MINUTE_MS)
    before = office.acked_sequence("A-101")
    stand.pay_cash()
    assert [line.split()[:2] for line in _lights(stand)] == [["show", "ok"], ["light", "green"]]
    sequence, fare_minor = (int(word) for word in _lights(stand)[0].split()[2:4])
    assert fare_minor == 20_000
    assert sequence > before
    stand.run_for(10 * _MINUTE_MS)
    assert office.acked_sequence("A-101") >= sequence


def test_time_stands_still_for_a_validator_that_is_not_woken(stand: Stand) -> None:
    stand.enrol()
    stand.boot()
    stand.run_for(_MINUTE_MS)
    heard = len(stand.heard)
    deadlines = {stand.process.run_until_idle(stand.now_ms) for _ in range(3)}
    assert len(deadlines) == 1
    assert len(stand.heard) == heard


def test_the_power_fails_at_a_byte_and_what_was_green_before_is_still_there(stand: Stand) -> None:
    stand.enrol()
    stand.boot()
    stand.run_for(_MINUTE_MS)
    stand.pay_cash()
    stand.process.kill()
    stand.boot(cut_after_bytes=20)
    assert not stand.process.is_alive()
    assert stand.process.exit_code == POWER_CUT_EXIT
    stand.boot()
    stand.run_for(_MINUTE_MS)
    stand.pay_cash()
    first, second = (int(line.split()[2]) for line in stand.heard if line.startswith("show ok"))
    assert second > first + 1
    assert stand.office.acked_sequence("A-101") >= first


def test_a_killed_validator_is_gone_at_once_and_goes_on_after_the_next_start(stand: Stand) -> None:
    stand.enrol()
    stand.boot()
    stand.run_for(_MINUTE_MS)
    stand.process.kill()
    assert stand.process.exit_code == -9
    assert stand.process.run_until_idle(stand.now_ms) is None
    stand.process.kill()  # nothing is left to be killed
    stand.boot()
    stand.run_for(_MINUTE_MS)
    stand.pay_cash()
    assert len(_lights(stand)) == 2


def test_without_network_it_decides_and_keeps_what_it_cannot_send(stand: Stand, office: Office) -> None:
    stand.enrol()
    stand.boot()
    stand.run_for(_MINUTE_MS)
    stand.network.covered = False
    stand.pay_cash()
    stand.run_for(20 * _MINUTE_MS)
    assert stand.network.counts["no_network"] > 1
    (sequence,) = (int(line.split()[2]) for line in stand.heard if line.startswith("show ok"))
    assert office.acked_sequence("A-101") < sequence
    stand.network.covered = True
    stand.run_for(20 * _MINUTE_MS)
    assert office.acked_sequence("A-101") >= sequence


def test_the_same_seed_and_the_same_riders_make_every_python_say_the_same(office: Office, tmp_path: Path) -> None:
    said = []
    for runtime in ("cpython", "micropython"):
        stand = Stand(office, tmp_path / runtime, runtime, seed="each time the same")
        stand.enrol("A-103")
        stand.boot()
        stand.run_for(_MINUTE_MS)
        for _ in range(3):
            stand.pay_cash()
        stand.process.close()
        said.append(stand.heard)
    assert said[0] == said[1]
    assert len([line for line in said[0] if line == "light green"]) == 3


def test_a_mistyped_invitation_is_refused_in_the_validators_own_words(stand: Stand) -> None:
    with pytest.raises(ProcessFault, match=r"enrolment failed: .*invitation"):
        stand.process.enrol(stand.office.service.address, "ABCDE-FGHJK")


def test_an_invitation_is_good_for_one_validator(stand: Stand, office: Office, tmp_path: Path) -> None:
    code = office.invite("A-101")
    stand.process.enrol(office.service.address, code)
    other = Stand(office, tmp_path / "other", "cpython", seed="another device")
    try:
        with pytest.raises(ProcessFault, match=r"refused the invitation .*ask for a new one"):
            other.process.enrol(office.service.address, code)
    finally:
        other.process.close()


def test_where_nobody_listens_enrolment_says_so(stand: Stand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()[:2]
    with pytest.raises(ProcessFault, match="enrolment failed: no network"):
        stand.process.enrol(address, stand.office.invite("A-101"))


def test_a_validator_that_ends_by_itself_is_an_error_and_no_power_cut(stand: Stand) -> None:
    with pytest.raises(ProcessFault, match=r"exit code 1: .*not enrolled"):
        stand.boot()
    assert not stand.process.is_alive()


def test_a_runtime_that_is_not_set_up_is_named_with_what_to_do() -> None:
    with pytest.raises(RuntimeMissing, match=r"micropython128 is not set up: run \.ci/get-micropython"):
        start_command("micropython128")
