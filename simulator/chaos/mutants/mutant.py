"""What a mutant is: one bug, handed into a world as a part of it, and the name of the real-world bug it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from simulator.chaos.parts import Parts


@dataclass(frozen=True)
class Mutant:
    """A seeded bug.

    Attributes:
        stands_for: what it does, and where it was met.
        needs: kinds of fault without which it does no harm; they are enabled in each of its schedules.
        changes: what else its schedules must be like, by attributes of `Schedule`.
        break_parts: puts it into the parts of a world.
    """

    name: str
    stands_for: str
    needs: tuple[str, ...]
    changes: dict[str, Any]
    break_parts: Callable[[Parts], None]


class Mutants:
    """A collection of mutants, in the order in which they were written.

    Attributes:
        all: what it holds.
    """

    def __init__(self) -> None:
        self.all: list[Mutant] = []

    def needing(self, *kinds: str, **changes: int) -> Callable[[Callable[[Parts], None]], Callable[[Parts], None]]:
        """Return a decorator that takes a function into the collection: its name and docstring are the mutant's."""

        def take(act: Callable[[Parts], None]) -> Callable[[Parts], None]:
            self.all.append(
                Mutant(act.__name__.replace("_", "-"), " ".join((act.__doc__ or "").split()), kinds, changes, act)
            )
            return act

        return take
