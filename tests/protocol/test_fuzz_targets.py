"""Every fuzz target, briefly: its property holds for all vectors and some hundred mutations of them, the same each time."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.campaign import run_target
from tests.fuzz.child import run_mutations
from tests.fuzz.mutations import inputs
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.vectors.load import load

_MUTATIONS = 200
_PAGE = Path(__file__).resolve().parents[1] / "FUZZ.md"


@pytest.mark.parametrize("name", TARGETS)
def test_the_property_holds_for_vectors_and_mutations(name: str) -> None:
    target = TARGETS[name]
    for data in islice(inputs(target, seed=1), len(target.seeds()) + _MUTATIONS):
        target.check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_no_seed_is_longer_than_what_is_tried(name: str) -> None:
    target = TARGETS[name]
    assert max(map(len, target.seeds())) <= target.bytes_max


def _refuses_a_true(data: bytes) -> None:
    assert b"\xf5" not in data, "planted"


def test_what_breaks_a_property_is_found_and_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    payload = bytes.fromhex(load("wire")["ack"]["payload"])
    for is_cbor in (False, True):
        target = Target("planted", _refuses_a_true, lambda: [payload], is_cbor=is_cbor)
        assert run_mutations(target, 60, tmp_path, seed=1) == 77
        assert "AssertionError: planted" in capfd.readouterr().err
    found = list(tmp_path.glob("crash-*"))
    assert len(found) == 2
    assert all(b"\xf5" in path.read_bytes() for path in found)


def test_a_ticket_whose_version_is_true_is_refused() -> None:
    seed = TARGETS["qr-ticket"].seeds()[-1]
    assert seed[:3] == b"\xa8\x00\x01"
    TARGETS["qr-ticket"].check(b"\xa8\x00\xf5" + seed[3:])


def test_a_target_is_fuzzed_in_a_process_of_its_own(tmp_path: Path) -> None:
    outcome = run_target("error", 1, lambda _: None, tmp_path)
    assert outcome.executions > 10
    assert outcome.findings == []


def test_the_command_shows_an_input_again_and_knows_its_targets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = tmp_path / "crash"
    finding.write_bytes(b"\xf5")
    assert main(["ack", "--replay", str(finding)]) == 0
    for wrong in (["ack", "--seconds", "0"], ["--replay", str(finding)], ["nothing"]):
        with pytest.raises(SystemExit):
            main(wrong)
    assert "no target nothing; there are: cbor, " in capsys.readouterr().err


def test_the_page_has_a_row_for_each_target() -> None:
    page = _PAGE.read_text()
    assert [name for name in TARGETS if f"| {name} " not in page] == []
