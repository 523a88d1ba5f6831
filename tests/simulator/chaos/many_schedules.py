"""Three hundred schedules of two hundred riders, in three files: whoever runs files at the same time shares them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.chaos.minimise import replay_command
from simulator.chaos.play import play_seed

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.chaos.stage import Stage

TAPS = 200
AT_ONCE = 10


def check_schedules(first: int, stage: Stage, folder: Path) -> None:
    """Play the schedules of some seeds in a row: no tap may be lost, doubled or invented."""
    for seed in range(first, first + AT_ONCE):
        outcome = play_seed(seed, TAPS, stage, folder)
        assert outcome.violations == (), replay_command(outcome.schedule)
        assert outcome.accepted <= outcome.cleared + outcome.excused
        assert outcome.cleared > 0
