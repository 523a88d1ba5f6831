"""The proxy of faults, between a caller and a service that are both real sockets."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from firmware.boards.desktop_ports import TcpLink, wait_for_any
from simulator.__main__ import app
from simulator.fault_proxy import BAD, CALM, FAULTS, FaultProxy, RatesError, parse_rates, proxy_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUEST = random.Random(1).randbytes(3000)
_ANSWER = random.Random(2).randbytes(5000)
_PATIENCE_S = 10


class _Office:
    """A service of one sentence: it reads a whole request, answers, and closes.

    Attributes:
        heard: what came on each connection.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.heard: list[bytes] = []
        self._has_heard = threading.Condition()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                heard = b""
                while len(heard) < len(_REQUEST) and (piece := connection.recv(65536)):
                    heard += piece
                with self._has_heard:
                    self.heard.append(heard)
                    self._has_heard.notify()
                if heard == _REQUEST:
                    connection.sendall(_ANSWER)

    def wait_for(self, count: int) -> None:
        """Wait until so many connections were heard."""
        with self._has_heard:
            assert self._has_heard.wait_for(lambda: len(self.heard) >= count, _PATIENCE_S)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def office() -> Iterator[_Office]:
    office = _Office()
    yield office
    office.close()


@contextmanager
def _only(fault: str, office: _Office, seed: int = 1) -> Iterator[FaultProxy]:
    with proxy_in_thread(office.address, seed, {fault: 1.0}) as proxy:
        yield proxy
    assert proxy.counts[fault] == proxy.connections > 0


def _call(proxy: FaultProxy) -> bytes:
    """Send the request, and return what comes until the connection is closed."""
    with socket.create_connection(proxy.address, timeout=_PATIENCE_S) as caller:
        caller.sendall(_REQUEST)
        answer = b""
        while piece := caller.recv(65536):
            answer += piece
        return answer


def test_a_connection_that_nothing_befalls_is_carried_both_ways(office: _Office) -> None:
    with proxy_in_thread(office.address, 1, CALM) as proxy:
        assert _call(proxy) == _ANSWER
    assert office.heard == [_REQUEST]
    assert proxy.counts == dict.fromkeys((*FAULTS, "unreachable"), 0) | {"carried": 1}


@pytest.mark.parametrize("fault", ["delay", "drip"])
def test_what_comes_late_or_in_drops_is_whole(office: _Office, fault: str) -> None:
    with _only(fault, office) as proxy:
        assert _call(proxy) == _ANSWER
    assert office.heard == [_REQUEST]


def test_a_dropped_connection_never_reaches_the_service(office: _Office) -> None:
    with _only("drop", office) as proxy, socket.create_connection(proxy.address, timeout=_PATIENCE_S) as caller:
        assert caller.recv(1) == b""
    assert office.heard == []


def test_a_connection_is_reset_before_or_after_the_service_has_done_its_work(office: _Office) -> None:
    with _only("reset", office) as proxy:
        for _ in range(12):
            with pytest.raises(ConnectionResetError):
                _call(proxy)
    assert 0 < len(office.heard) < 12
    assert set(office.heard) == {_REQUEST}


def test_a_connection_that_was_reset_is_one_that_was_closed_for_a_validator_on_a_desk(office: _Office) -> None:
    with _only("reset", office) as proxy:
        link = TcpLink(*proxy.address)
        link.write(_REQUEST)
        wait_for_any([link], _PATIENCE_S * 1000)
        assert link.closed
        assert link.read() == b""
        link.close()


def test_of_a_cut_request_the_service_hears_the_beginning_only(office: _Office) -> None:
    with _only("cut_request", office) as proxy:
        assert _call(proxy) == b""
        office.wait_for(1)
    assert _REQUEST.startswith(office.heard[0])
    assert len(office.heard[0]) < len(_REQUEST)


def test_of_a_cut_answer_the_caller_hears_the_beginning_only(office: _Office) -> None:
    with _only("cut_answer", office) as proxy:
        answer = _call(proxy)
    assert office.heard == [_REQUEST]
    assert _ANSWER.startswith(answer)
    assert len(answer) < len(_ANSWER)


def test_noise_comes_instead_of_the_answer_and_the_same_noise_from_the_same_seed(office: _Office) -> None:
    answers = []
    for seed in (1, 1, 2):
        with _only("garbage", office, seed) as proxy:
            answers.append(_call(proxy))
    assert answers[0] == answers[1] != answers[2]
    assert _ANSWER not in answers


@pytest.mark.parametrize(("fault", "heard"), [("half_open", []), ("mute", [_REQUEST])])
def test_an_answer_that_never_comes_leaves_the_connection_open(office: _Office, fault: str, heard: list[bytes]) -> None:
    with _only(fault, office) as proxy, socket.create_connection(proxy.address) as caller:
        caller.sendall(_REQUEST)
        caller.settimeout(0.5)
        with pytest.raises(TimeoutError):
            caller.recv(1)
        office.wait_for(len(heard))
    assert office.heard == heard


def test_a_service_that_is_away_is_a_closed_connection(office: _Office) -> None:
    with proxy_in_thread(None, 1, CALM) as proxy:
        with socket.create_connection(proxy.address, timeout=_PATIENCE_S) as caller:
            assert caller.recv(1) == b""
        proxy.target = office.address
        assert _call(proxy) == _ANSWER
    assert proxy.counts["unreachable"] == 1


def test_what_befalls_the_nth_connection_comes_from_the_seed_alone() -> None:
    def fates(seed: int) -> list[str]:
        proxy = FaultProxy(None, seed, BAD)
        return [proxy.draw(number)[0] for number in range(400)]

    assert fates(1) == fates(1) != fates(2)
    assert set(fates(1)) == {*FAULTS, "carried"}
    assert 12 <= sum(fate == "mute" for fate in fates(1)) <= 30


def test_it_runs_in_a_loop_of_somebody_else_and_ends_what_is_open(office: _Office) -> None:
    async def talk() -> bytes:
        async with FaultProxy(office.address, 1, CALM) as proxy:
            reader, writer = await asyncio.open_connection(*proxy.address)
            _, waiting = await asyncio.open_connection(*proxy.address)
            writer.write(_REQUEST)
            answer = await reader.read()
            writer.close()
            waiting.close()
        return answer

    assert asyncio.run(talk()) == _ANSWER


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rain=0.1", "no fault rain"),
        ("drop", "write drop=0.05"),
        ("drop=often", "write drop=0.05"),
        ("drop=1.5", "no probability"),
        ("drop=-0.1", "no probability"),
        ("drop=0.6,mute=0.6", "more than 1"),
    ],
)
def test_rates_that_cannot_be_meant_are_refused(text: str, fault: str) -> None:
    with pytest.raises(RatesError, match=fault):
        parse_rates(text)
    result = CliRunner().invoke(app, ["proxy", "--to", "127.0.0.1:1", "--rates", text])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "write them as drop=0.1,mute=0.05" in " ".join(result.stderr.split())


def test_rates_are_read() -> None:
    assert parse_rates("drop=0.1,mute=0.25") == {"drop": 0.1, "mute": 0.25}
    assert parse_rates("") == CALM


def test_an_address_without_a_port_is_wrong_usage_and_a_port_that_is_taken_an_error(office: _Office) -> None:
    wrong = CliRunner().invoke(app, ["proxy", "--to", "somewhere"])
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "no address somewhere" in wrong.stderr
    taken = CliRunner().invoke(app, ["proxy", "--to", "127.0.0.1:1", "--listen", str(office.address[1])])
    assert taken.exit_code == 1
    assert "choose another port" in taken.stderr


def test_the_command_carries_until_it_is_told_to_end_and_then_tells_what_befell(office: _Office) -> None:
    host, port = office.address
    words = ["proxy", "--to", f"{host}:{port}", "--rates", "garbage=1", "--json"]
    command = [sys.executable, "-m", "simulator", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        proxy = FaultProxy(None, 1, CALM, int(said.rpartition(":")[2]))
        assert len(_call(proxy)) == len(_ANSWER)
        process.send_signal(signal.SIGTERM)
        counts, _ = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 0
    assert json.loads(counts) == dict.fromkeys((*FAULTS, "carried", "unreachable"), 0) | {"garbage": 1}
