"""The emulated Cortex-M4: what it is given to run, and that it counts. It runs where it was built: `make emulated`."""

from __future__ import annotations

import random
import struct

import pytest

from hardware.emulated_m4 import emulator
from hardware.emulated_m4.image import compiled, files_in, make_image
from hardware.emulated_m4.operations import count_operations
from simulator import timing
from tests.bench_tap.counting import count, counted_steps
from tests.bench_tap.measure import rates
from tests.bench_tap.media import RIDES
from tests.bench_tap.recording import LIGHT, WRITE, record
from tests.bench_tap.timeline import World, time_of
from tests.compiled import compile_all

# What a look-up in a deny list may take, with what it reads of flash.
_LOOK_UP_MS_MAX = 5
_LOOK_UP_BYTES_MAX = 4096
HEAP_BYTES = 64 * 1024
DEVICE_HEAP_BYTES = 180 * 1024
# What is quick there, of each kind; the others of `tests.run_on_micropython` run there as well, some for minutes.
MODULES = (
    "firmware.test_decision",
    "protocol.test_cards_desfire",
    "protocol.test_cards_emv_oda",
    "protocol.test_cbor",
    "protocol.test_sync",
)
RUN_TESTS = """
import gc
import {module} as module
gc.threshold(12288)
tests = [name for name in dir(module) if name.startswith("test_")]
for name in tests:
    gc.collect()
    getattr(module, name)()
print(len(tests))
"""
needs_emulator = pytest.mark.skipif(
    not emulator.is_set_up(), reason="needs the emulated Cortex-M4: run 'make emulated'"
)


def image_of(source: str, **files: bytes) -> bytes:
    return make_image({"main.mpy": compiled("main", source)} | files, HEAP_BYTES)


def test_an_image_says_how_large_heap_and_program_are() -> None:
    image = make_image({"main.py": b"print(1)", "lib/deep/module.py": b"pass"}, HEAP_BYTES)
    heap_bytes, rom_bytes, *_ = struct.unpack_from("<4I", image)
    rom = image[16:]
    assert (heap_bytes, rom_bytes) == (HEAP_BYTES, len(rom))
    assert rom.startswith(b"\xd2\xcd1"), "a ROMFS"
    assert all(part in rom for part in (b"main.py", b"print(1)", b"lib", b"deep", b"module.py"))


def test_a_machine_without_it_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(emulator.EmulatorMissing, match="make emulated"):
        emulator.run(b"")


@needs_emulator
def test_the_same_program_takes_the_same_instructions_each_time() -> None:
    source = "from emulated import instructions\nbegun = instructions()\npow(3, 10**40, 10**50)\nprint(instructions() - begun)"
    first, second = (emulator.run(image_of(source)) for _ in range(2))
    assert first == second
    assert int(first) > 10_000


@needs_emulator
def test_twice_the_work_is_twice_the_instructions() -> None:
    source = """
from emulated import instructions
def work(rounds):
    begun = instructions()
    for _ in range(rounds):
        pass
    return instructions() - begun
empty = work(0)
print((work(20_000) - empty) / (work(10_000) - empty))
"""
    assert float(emulator.run(image_of(source))) == pytest.approx(2, abs=0.01)


@needs_emulator
def test_it_has_what_the_firmware_expects_of_a_board() -> None:
    source = """
import cryptolib, hashlib, sys, vfs
print(sys.platform, hasattr(vfs, "VfsLfs2"), hashlib.sha256(b"abc").digest()[:2].hex(), hashlib.sha1(b"abc").digest()[:2].hex())
print(cryptolib.aes(bytes(16), 1).encrypt(bytes(16))[:2].hex(), open("/rom/note").read())
"""
    assert emulator.run(image_of(source, note=b"lies in ROM")).split("\n")[:2] == [
        "emulated_m4 True ba78 a999",
        "66e9 lies in ROM",
    ]


@needs_emulator
@pytest.mark.parametrize("source", ["raise ValueError('on purpose')", "import sys\nprint('on purpose')\nsys.exit(3)"])
def test_a_program_that_fails_says_why(source: str) -> None:
    with pytest.raises(emulator.ProgramFailed, match="on purpose"):
        emulator.run(image_of(source))


@needs_emulator
def test_a_program_that_does_not_end_is_ended() -> None:
    with pytest.raises(emulator.ProgramFailed, match="not done after"):
        emulator.run(image_of("while True:\n    pass"), timeout_s=1)


@needs_emulator
@pytest.mark.parametrize("module", MODULES)
def test_the_firmwares_own_tests_pass_there(module: str) -> None:
    files = files_in(compile_all(emulator.TOP, emulator.TOP / ".cache" / "tests"))
    program = compiled("main", RUN_TESTS.format(module=f"tests.{module}"))
    assert int(emulator.run_once(make_image(files | {"main.mpy": program}, DEVICE_HEAP_BYTES))) > 0


@needs_emulator
def test_every_operation_of_the_table_is_counted() -> None:
    counts = count_operations()
    assert len(counts) >= 20
    assert min(counts.values()) > 1000
    assert counts["RSA public, 1984 bits, e = 65537"] > 5 * counts["RSA public, 1984 bits, e = 3"]
    (look_up,) = [count for name, count in counts.items() if name.startswith("a list of 1000000 media")]
    flash_ms = timing.read_ms(_LOOK_UP_BYTES_MAX)
    assert timing.PROCESSORS[timing.REFERENCE].compute_ms(look_up) + flash_ms < _LOOK_UP_MS_MAX


# A card with a purse, two with certificates, and a code.
@needs_emulator
@pytest.mark.parametrize("ride", [RIDES[0], RIDES[1], RIDES[3], RIDES[-1]], ids=lambda ride: ride.name)
def test_the_validator_there_says_byte_for_byte_what_it_says_here(ride) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    recording = record(ride.riders()[:2])
    riders = counted_steps(recording, count(recording))
    assert len(riders) == 2
    for rider in riders:
        acts = [act for step in rider for act in step.acts]
        lit = next(index for index, act in enumerate(acts) if act.kind == LIGHT)
        assert acts[lit].data == b"green"
        assert "program" in [act.kind for act in acts[:lit]], "what the light promises is on flash before"
        assert all(act.instructions for act in acts if act.kind in {LIGHT, WRITE})
    if ride.firmware_target_ms is not None:
        link, processor = timing.LINKS[rates(recording)[0]], timing.PROCESSORS[timing.REFERENCE]
        for work in ride.works.values():
            split = time_of(riders[1], World(work, link, timing.AIR_KBITS[0], processor), random.Random(1))
            assert split.firmware < ride.firmware_target_ms
