"""The process in which one target is fuzzed: `python -m tests.fuzz.child ENGINE TARGET SECONDS FOLDER`.

It says on standard error what libFuzzer says, whichever engine it is: lines that begin with `#`, then how many inputs were
tried. What breaks the property, takes too long or too much memory is left in the folder, and ends the process.
"""

from __future__ import annotations

import hashlib
import importlib
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.cbor_values import change_value
from tests.fuzz.mutations import STRIKING, inputs

if TYPE_CHECKING:
    from types import FrameType

    from tests.fuzz.target import Target

ATHERIS = "atheris"
MUTATIONS = "seeded mutations"
INPUT_SECONDS_MAX = 10
MEMORY_MB_MAX = 1024
_FAULT_EXIT = 77
_TELL_EVERY_S = 2.0


def targets() -> dict[str, Target]:
    """Load the targets only here: atheris instruments what is loaded after it."""
    found: dict[str, Target] = importlib.import_module("tests.fuzz.targets").TARGETS
    return found


def run_atheris(name: str, seconds: int, folder: Path) -> None:
    """Fuzz guided by coverage; it does not return."""
    import atheris  # noqa: PLC0415 - it is not there where its extra is not installed

    with atheris.instrument_imports(include=["protocol", "firmware"]):
        target = targets()[name]
    seeds, corpus = folder / "seeds", folder / "corpus"
    for each in (seeds, corpus):
        each.mkdir(exist_ok=True)
    vectors = target.seeds()
    for index, seed in enumerate(vectors):
        (seeds / f"{index:03d}").write_bytes(seed)
    words = folder / "words"
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in STRIKING))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={target.bytes_max}",
        f"-timeout={INPUT_SECONDS_MAX}",
        f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-artifact_prefix={folder}/",
        f"-dict={words}",
        "-print_final_stats=1",
    ]

    def change(data: bytes, bytes_max: int, seed: int) -> bytes:
        # Of four times: whatever libFuzzer likes, twice; a value changed; a value of a vector, which it soon leaves behind.
        chance = random.Random(seed)
        if target.is_cbor and seed % 2:
            return change_value(chance.choice(vectors) if seed % 4 == 1 else data, chance)[:bytes_max]
        changed: bytes = atheris.Mutate(data, bytes_max)
        return changed

    atheris.Setup([sys.argv[0], *options, str(corpus), str(seeds)], target.check, custom_mutator=change)
    atheris.Fuzz()


def run_mutations(target: Target, seconds: float, folder: Path, seed: int) -> int:
    """Fuzz with mutations of the seeds, and return the exit code."""
    begun = told = now = time.monotonic()
    count = 0
    is_well = True
    tries = inputs(target, seed)
    while is_well and now - begun < seconds:
        is_well = _try(target, next(tries), folder)
        count += 1
        now = time.monotonic()
        if now - told > _TELL_EVERY_S:
            told = now
            _tell(f"#{count}\tpulse")
    _tell(f"stat::number_of_executed_units: {count}")
    return 0 if is_well else _FAULT_EXIT


def _try(target: Target, data: bytes, folder: Path) -> bool:
    """Return whether the property holds; an input for which it does not is left in the folder."""
    signal.alarm(INPUT_SECONDS_MAX)
    try:
        target.check(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        traceback.print_exc()
        kind = "timeout" if isinstance(error, TimeoutError) else "crash"
        (folder / f"{kind}-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}").write_bytes(data)
        return False
    finally:
        signal.alarm(0)
    return True


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _take_too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"an input took longer than {INPUT_SECONDS_MAX} s")


def main(arguments: list[str]) -> int:
    engine, name, seconds, folder = arguments
    if engine == ATHERIS:
        run_atheris(name, int(seconds), Path(folder))
    limit = MEMORY_MB_MAX << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, _take_too_long)
    return run_mutations(targets()[name], int(seconds), Path(folder), seed=time.time_ns())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
