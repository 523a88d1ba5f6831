"""Run the tests of what runs on the bus under a real MicroPython: `python -m tests.run_on_micropython [RUNTIME] [MODULE …]`.

A test of `tests/protocol` or `tests/firmware` is an ordinary function without fixtures, so pytest runs it on CPython and this
program runs the same file on the 64-bit and the 32-bit unix port, the latter with the heap of a device. Each module gets a
process of its own; the 32-bit port executes what mpy-cross has compiled in place, as a device does. Left out are property tests
(`*_properties`: they need Hypothesis) and what is listed here with its reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.compiled import compile_all, image_of

TOP = Path(__file__).resolve().parents[1]
ROOMS = ("protocol", "firmware")
ONLY_ON_CPYTHON: dict[str, str] = {
    "tests.firmware.test_crypto_cpython": "it tests the board file that only CPython uses",
    "tests.firmware.test_flash_report": "it tests a command for a desk",
    "tests.protocol.test_card_page": "it reads the page of the card's layout",
    "tests.protocol.test_fuzz_targets": "it compares with libraries that MicroPython has not",
    "tests.protocol.test_spec": "it reads the specification",
    "tests.protocol.test_tapsync_cddl": "it needs a validator of grammars",
}
# These hold what the service keeps of the device's records and lists beside the device: more than a device has room for.
WITH_THE_SERVICE = frozenset(f"tests.firmware.test_{name}" for name in ("list_changes", "refill", "token_lists"))
_TIMEOUT_S = 240

# Modules are executed in place, out of an image, as on a device.
_BOOT = """
import sys
sys.path.append({folder!r})
import rom_boot
rom_boot.mount({image!r})
"""

# What the child runs. The names of a module come in no order there, so they are sorted.
_CHILD = """
import gc, sys
name = {name!r}
__import__(name)
gc.threshold({threshold})
module = sys.modules[name]
failed = 0
tests = sorted([each for each in dir(module) if each.startswith("test_")])
for each in tests:
    gc.collect()
    try:
        getattr(module, each)()
    except Exception as error:
        failed += 1
        print(name + "::" + each)
        sys.print_exception(error)
print("tests", len(tests), failed)
"""


@dataclass(frozen=True)
class Runtime:
    """One MicroPython.

    Attributes:
        name: of the program in the cache folder.
        options: command-line options; the heap of the 32-bit one is a device's.
        roomier: options for the modules that hold the service's half, too.
        threshold: garbage is collected after so many bytes, -1 when the heap is full. A small heap must be kept in order.
        is_compiled: it runs what mpy-cross made, in place.
    """

    name: str
    options: tuple[str, ...]
    roomier: tuple[str, ...]
    threshold: int
    is_compiled: bool = False

    @property
    def program(self) -> Path:
        return TOP / ".cache" / "micropython" / "bin" / self.name


@dataclass(frozen=True)
class Outcome:
    """How one module fared.

    Attributes:
        module: its dotted name.
        tests, failed: how many were run, and how many of them failed; a module that does not load counts as one failure.
        output: what the child said.
    """

    module: str
    tests: int
    failed: int
    output: str


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("micropython", ("-X", "heapsize=4m"), ("-X", "heapsize=4m"), -1),
        Runtime("micropython32", ("-X", "heapsize=180k"), ("-X", "heapsize=300k"), 12_288, is_compiled=True),
    )
}


def test_modules() -> list[str]:
    """Return the dotted names of the modules that both Pythons run."""
    paths = [path for room in ROOMS for path in sorted((TOP / "tests" / room).glob("test_*.py"))]
    names = [".".join(path.relative_to(TOP).with_suffix("").parts) for path in paths]
    return [name for name in names if not name.endswith("_properties") and name not in ONLY_ON_CPYTHON]


# The name begins with what pytest looks for, and it is no test.
test_modules.__test__ = False  # type: ignore[attr-defined]


def run_module(runtime: Runtime, module: str) -> Outcome:
    """Run one module's tests in a process of their own."""
    folder = compile_all(TOP, TOP / ".cache" / "tests") if runtime.is_compiled else TOP
    boot = _BOOT.format(folder=str(TOP / "simulator"), image=str(image_of(folder))) if runtime.is_compiled else ""
    options = runtime.roomier if module in WITH_THE_SERVICE else runtime.options
    child = boot + _CHILD.format(name=module, threshold=runtime.threshold)
    command = [str(runtime.program), *options, "-c", child]
    environment = os.environ | {"MICROPYPATH": ".frozen:firmware/device_root:."}
    try:
        ran = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return Outcome(module, 0, 1, f"{module}: not done after {_TIMEOUT_S} s\n")
    *lines, last = ["", *ran.stdout.splitlines()]
    if ran.returncode or not last.startswith("tests "):
        return Outcome(module, 0, 1, f"{module}: stopped with code {ran.returncode}\n{ran.stdout}{ran.stderr}")
    tests, failed = (int(word) for word in last.split()[1:])
    return Outcome(module, tests, failed, "".join(f"{line}\n" for line in lines if line))


def run(runtime: Runtime, modules: list[str]) -> list[Outcome]:
    """Run the modules on one runtime, a few at a time.

    Raises:
        FileNotFoundError: the runtime is not there; `make setup` brings it.
    """
    if not runtime.program.exists():
        raise FileNotFoundError(f"{runtime.program} is missing: run 'make setup' first")
    if runtime.is_compiled:
        image_of(compile_all(TOP, TOP / ".cache" / "tests"))  # once, before several ask for it
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda module: run_module(runtime, module), modules))


def summary(runtime: Runtime, outcomes: list[Outcome]) -> str:
    """Say in one line what ran where."""
    tests, failed = sum(each.tests for each in outcomes), sum(each.failed for each in outcomes)
    words = f"{failed} FAILED" if failed else "all passed"
    return f"{runtime.name} {' '.join(runtime.options)}: {tests} tests of {len(outcomes)} modules, {words}"


def main(arguments: list[str]) -> int:
    """Run what was asked for (everything, on both runtimes) and return the exit code."""
    runtimes = [RUNTIMES[name] for name in arguments if name in RUNTIMES] or list(RUNTIMES.values())
    modules = [name for name in arguments if name not in RUNTIMES] or test_modules()
    failed = False
    for runtime in runtimes:
        outcomes = run(runtime, modules)
        for outcome in outcomes:
            print(
                f"{runtime.name}  {outcome.module}: {outcome.tests} tests, {outcome.failed} failed\n{outcome.output}",
                end="",
            )
        print(summary(runtime, outcomes))
        failed = failed or any(outcome.failed or not outcome.tests for outcome in outcomes)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
