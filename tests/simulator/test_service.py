from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from simulator.keys import write_keys
from simulator.service import ClockFile, Service, ServiceError, ServiceProcess
from tests.builders import NOW_MS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator.street import Office


def test_the_service_takes_its_time_from_the_clock_file(office: Office) -> None:
    for now_ms in (NOW_MS, NOW_MS + 3_600_000):
        office.clock.set(now_ms)
        assert office.service.get("/healthz")["time_ms"] == now_ms


def test_a_clock_file_holds_what_was_set_last(tmp_path: Path) -> None:
    clock = ClockFile(tmp_path / "clock", 5)
    clock.set(1 << 40)
    assert (tmp_path / "clock").read_bytes() == (1 << 40).to_bytes(8, "little")


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    write_keys(tmp_path, 1)
    (tmp_path / "keys.json").chmod(0o644)
    with pytest.raises(ServiceError, match=r"did not start: .*can be read by others"):
        ServiceProcess(tmp_path, "--port", "0")


def test_a_service_on_a_port_that_is_taken_says_so(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ServiceError, match=r"did not start: .*cannot listen"),
    ):
        ServiceProcess(tmp_path, "--port", str(taken.getsockname()[1]))


def test_a_refusal_is_told_with_what_was_asked_and_what_was_answered(office: Office) -> None:
    with pytest.raises(ServiceError, match=r"POST /v1/validators/invitations: 404 .*A-999"):
        office.invite("A-999")
    with pytest.raises(ServiceError, match="the page /no-such-page does not come: 404"):
        office.service.check_page("/no-such-page")


def test_a_service_that_does_not_answer_is_told_apart_from_one_that_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    service = Service(f"http://127.0.0.1:{port}", "")
    with pytest.raises(ServiceError, match=f"GET /healthz: no answer from http://127.0.0.1:{port}"):
        service.get("/healthz")
    service.close()


def test_a_token_is_needed_where_one_is_given_and_a_wrong_one_is_refused(office: Office) -> None:
    service = Service(office.service.url, "not-a-token")
    with pytest.raises(ServiceError, match="401"):
        service.get("/v1/validators")
    service.close()


def test_a_command_that_fails_is_told_with_its_own_words(office: Office) -> None:
    with pytest.raises(ServiceError, match=r"jolaqy validator invite .*: exit 3\n.*A-999"):
        office.process.command("validator", "invite", "--vehicle", "A-999", "--json")
    assert office.process.command("db", "status", "--json")["revision"] is not None
