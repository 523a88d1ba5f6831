"""One target after another, each in a process of its own: started, watched, counted, and what it found told with its replay."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.child import ATHERIS, MUTATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / ".cache" / "fuzz"
# Before and after the fuzzing itself: start, seeds, the last input.
_MARGIN_S = 60
_FINDINGS = ("crash-*", "timeout-*", "oom-*")
_TELL_EVERY_S = 5.0
_LAST_WORDS_LINES = 12


class FuzzError(Exception):
    """A target could not be fuzzed at all."""


@dataclass
class Outcome:
    """What came of one target.

    Attributes:
        executions: inputs tried.
        seconds: from start to end of its process.
        findings: files with what broke the property, this time.
        last_words: of the process; a traceback where it found something.
    """

    target: str
    executions: int = 0
    seconds: float = 0.0
    findings: list[Path] = field(default_factory=list)
    last_words: str = ""


def engine() -> str:
    """Return what fuzzes here: atheris, or seeded mutations where it is not installed."""
    return ATHERIS if importlib.util.find_spec("atheris") is not None else MUTATIONS


def replay_command(outcome: Outcome, finding: Path) -> str:
    """Return the line that shows a finding again."""
    return f"python -m tests.fuzz {outcome.target} --replay {finding.relative_to(TOP)}"


def run_target(name: str, seconds: int, tell: Callable[[str], None], folder: Path = FOLDER) -> Outcome:
    """Fuzz one target for so long, or until it has found something.

    Raises:
        FuzzError: its process ended by itself, or had to be ended.
    """
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    before = _findings_in(place)
    outcome = Outcome(name)
    begun = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.child", engine(), name, str(seconds), str(place)]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        watch = threading.Timer(seconds + _MARGIN_S, child.kill)
        watch.start()
        try:
            _listen(child, outcome, tell)
        finally:
            watch.cancel()
            child.kill()
    outcome.seconds = time.monotonic() - begun
    outcome.findings = sorted(path for path, written in _findings_in(place).items() if before.get(path) != written)
    if child.returncode and not outcome.findings:
        raise FuzzError(f"{name} ended with exit code {child.returncode}:\n{outcome.last_words}")
    return outcome


def _findings_in(place: Path) -> dict[Path, int]:
    """Return what was found, with the moment at which it was written: the same thing may be found twice."""
    return {path: path.stat().st_mtime_ns for pattern in _FINDINGS for path in place.glob(pattern)}


def _listen(child: subprocess.Popen[str], outcome: Outcome, tell: Callable[[str], None]) -> None:
    assert child.stdout is not None
    words: deque[str] = deque(maxlen=_LAST_WORDS_LINES)
    is_said = False
    told = time.monotonic()
    for line in child.stdout:
        now = time.monotonic()
        if counted := re.match(r"#(\d+)\s|stat::number_of_executed_units:\s+(\d+)", line):
            outcome.executions = int(counted[1] or counted[2])
            if now - told > _TELL_EVERY_S:
                told = now
                tell(f"{outcome.target}: {outcome.executions} inputs")
        elif "ERROR: libFuzzer" in line and outcome.executions:
            is_said = True  # what follows is the input in many forms
        elif not is_said and not line.startswith(("INFO", "WARNING")):
            words.append(line)
    child.wait()
    outcome.last_words = "".join(words)
