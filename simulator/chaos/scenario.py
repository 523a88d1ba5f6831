"""What a scenario of the corpus is: a script that walks into a trap, and where the trap was met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simulator.chaos.script import Script


@dataclass(frozen=True)
class Scenario:
    """A trap, and the script that walks into it.

    Attributes:
        reference: project and issue.
        trap: what happened there.
    """

    name: str
    reference: str
    trap: str
    act: Callable[[Script], None]


@dataclass(frozen=True)
class Held:
    """What came of a scenario: no faults when the trap held nobody."""

    name: str
    reference: str
    trap: str
    faults: list[str]


class Scenarios:
    """The corpus, in the order of writing."""

    def __init__(self, others: Iterable[Scenario] = ()) -> None:
        self.all: list[Scenario] = list(others)

    def of(self, reference: str) -> Callable[[Callable[[Script], None]], Callable[[Script], None]]:
        """Return a decorator that takes a script into the corpus: its name and docstring are the scenario's."""

        def take(act: Callable[[Script], None]) -> Callable[[Script], None]:
            trap = " ".join((act.__doc__ or "").split())
            self.all.append(Scenario(act.__name__.replace("_", "-"), reference, trap, act))
            return act

        return take
