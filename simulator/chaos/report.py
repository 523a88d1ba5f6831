"""What came of many schedules, in figures; and the same as text."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.chaos.play import Outcome

LOST = frozenset({
    "every accepted tap is cleared",
    "a green light is durable",
    "nothing unacknowledged is erased",
    "nothing promised is forgotten",
    "everything comes home",
    "no ack for what is not durable",
})  # fmt: skip
DOUBLED = frozenset(
    {"a rider pays once", "each card is a witness", "the books are right", "a sequence has one content"}
)
PHANTOM = frozenset({"no phantom rides", "what is stored was journalled"})


@dataclass
class Report:
    """Sums over schedules.

    Attributes:
        failed: outcomes with violations.
        faults: how often each kind struck.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)
    _digest: Any = field(default_factory=hashlib.sha256)

    def add(self, outcome: Outcome) -> None:
        """Count a schedule in."""
        self.counts.update(
            schedules=1,
            taps=outcome.taps,
            accepted=outcome.accepted,
            cleared=outcome.cleared,
            excused=outcome.excused,
            requests=outcome.requests,
            power_cuts=outcome.power_cuts,
            server_crashes=outcome.server_crashes,
            restores=outcome.restores,
            violations=len(outcome.violations),
            lost=sum(violation.invariant in LOST for violation in outcome.violations),
            doubled=sum(violation.invariant in DOUBLED for violation in outcome.violations),
            phantom=sum(violation.invariant in PHANTOM for violation in outcome.violations),
        )
        self.faults.update(outcome.struck)
        self._digest.update(outcome.trace_sha256.encode())
        if outcome.violations:
            self.failed.append(outcome)

    def result(self) -> dict[str, Any]:
        """Return everything that is the same for the same seeds."""
        names = ("schedules", "taps", "accepted", "cleared", "excused", "lost", "doubled", "phantom", "violations")
        more = ("power_cuts", "server_crashes", "restores", "requests")
        return {
            **{name: self.counts[name] for name in (*names, *more)},
            "faults": dict(sorted(self.faults.items())),
            "failing_seeds": [outcome.schedule.seed for outcome in self.failed],
            "trace_sha256": self._digest.hexdigest(),
        }

    def text(self) -> str:
        """Say the same in a few lines."""
        count = self.counts
        return (
            f"{count['schedules']} schedules: {count['taps']} taps, {sum(self.faults.values())} faults, "
            f"{count['power_cuts']} power cuts, {count['server_crashes']} crashes of the service, "
            f"{count['restores']} restored databases\n"
            f"accepted {count['accepted']}, cleared {count['cleared']}, excused {count['excused']} "
            f"(rotten flash, copied validators, backups that were too old)\n"
            f"lost {count['lost']}, doubled {count['doubled']}, phantom {count['phantom']}; "
            f"violations {count['violations']}"
        )
