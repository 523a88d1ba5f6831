"""A recording is replayed on the emulated Cortex-M4: what the firmware does at each step, and for how many instructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware.emulated_m4 import emulator
from hardware.emulated_m4.operations import device_image
from tests.bench_tap.recording import EVENT, LIGHT, MARK, WRITE

if TYPE_CHECKING:
    from tests.bench_tap.recording import Recording

# What the device notes: kind, value, instructions since it was last resumed.
Note = tuple[str, int, int]


@dataclass(frozen=True)
class Act:
    """Something that the firmware does.

    Attributes:
        kind: `write`, `light`, `program`, `read` or `erase`.
        data: what it writes, or the light's colour.
        size: of `data`, or of what is programmed or read on flash.
        instructions: since the step began; None where they were not counted.
    """

    kind: str
    data: bytes
    size: int
    instructions: int | None


@dataclass(frozen=True)
class Step:
    """What the firmware does between two waits.

    Attributes:
        heard: port and bytes that made it go on; nothing when only time has passed.
        acts: what it does, in order.
        instructions: of the whole step; None where they were not counted.
    """

    heard: tuple[tuple[int, bytes], ...]
    acts: tuple[Act, ...]
    instructions: int | None


def count(recording: Recording) -> list[Note]:
    """Replay a recording on the emulated Cortex-M4, or take what an earlier replay of the same has counted.

    Raises:
        EmulatorMissing: it is not set up.
        ProgramFailed: the firmware there does not do what it did here.
    """
    said = emulator.run_once(device_image("replay", recording.files()))
    return [_note(line) for line in said.splitlines() if not line.startswith("log ")]


def _note(line: str) -> Note:
    kind, value, instructions = line.split()
    return kind, int(value), int(instructions)


def counted_steps(recording: Recording, notes: list[Note]) -> list[list[Step]]:
    """Return what the firmware does for each rider, step by step, counted."""
    events = iter([(port, data) for kind, port, data in recording.said if kind == EVENT])
    writes = iter(recording.writes)
    lights = iter([data for kind, _, data in recording.said if kind == LIGHT])
    riders: list[list[Step]] = []
    heard: list[tuple[int, bytes]] = []
    acts: list[Act] = []
    for kind, value, instructions in notes:
        if kind == "wait":
            if riders:
                riders[-1].append(Step(tuple(heard), tuple(acts), instructions))
        elif kind == "resume":
            heard, acts = [next(events) for _ in range(value)], []
            if any(port == MARK for port, _ in heard):
                riders.append([])
        else:
            data = next(writes)[1] if kind == WRITE else next(lights) if kind == LIGHT else b""
            acts.append(Act(kind, data, len(data) or value, instructions))
    return riders[:-1]


def uncounted_steps(recording: Recording) -> list[list[Step]]:
    """Return the same from the recording alone: without instructions, and without what the flash does."""
    riders: list[list[Step]] = []
    for kind, port, data in recording.said:
        if kind == EVENT:
            if port == MARK:
                riders.append([])
            if riders:
                riders[-1].append(Step(((port, data),), (), None))
        elif riders:
            last = riders[-1].pop()
            riders[-1].append(Step(last.heard, (*last.acts, Act(kind, data, len(data), None)), None))
    return riders[:-1]


def steps(recording: Recording) -> list[list[Step]]:
    """Return what the firmware does for each rider; counted, where the emulator is set up."""
    return counted_steps(recording, count(recording)) if emulator.is_set_up() else uncounted_steps(recording)
