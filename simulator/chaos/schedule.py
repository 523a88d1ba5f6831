"""What goes wrong in one schedule: drawn from the seed, swarm-style, so that each enables a few kinds of fault at random rates.

Whether a fault strikes is drawn at each opportunity from the stream of its kind; how it strikes, from a stream of its own number.
So a fault can be left out, by kind or by number, and all others stay as they were: that is how a failing schedule is made small.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from simulator.world import World


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        means: what happens.
        enabled: in which part of all schedules it is.
        rates: lowest and highest probability at each opportunity.
        strikes_max: how often in one schedule.
    """

    means: str
    enabled: float
    rates: tuple[float, float]
    strikes_max: int = 1_000_000


# Opportunities: a tap, a start, a request, or a tick of the world (every 20 s).
KINDS = {
    # The device.
    "cut_at_byte": Kind("the power fails at a byte written to flash, or in an erase", 0.5, (0.01, 0.06)),
    "cut_in_tap": Kind("the power fails at one of the waits of a tap", 0.5, (0.01, 0.06)),
    "cut_at_start": Kind("the power fails again while the validator starts", 0.3, (0.05, 0.4)),
    "cut_at_store": Kind("the power fails before a small file is written", 0.2, (0.02, 0.2)),
    "cut_any_time": Kind("the power fails", 0.4, (0.005, 0.04)),
    "clock_jump": Kind("the device's clock is moved", 0.3, (0.01, 0.1)),
    "clock_dead": Kind("the battery of the device's clock is empty from now on", 0.15, (0.01, 0.05), 2),
    "flash_flip": Kind("a bit on flash changes", 0.25, (0.01, 0.05), 4),
    "flash_stuck": Kind("a cell of the flash keeps its value", 0.25, (0.02, 0.1), 4),
    "clone": Kind("the device is copied, and both drive", 0.06, (0.02, 0.1), 1),
    # The rider.
    "torn": Kind("the card leaves the field in mid-conversation", 0.5, (0.02, 0.3)),
    "taken_away": Kind("the card is taken away at some moment", 0.3, (0.02, 0.2)),
    "walks_away": Kind("a rider who should try again walks away", 0.3, (0.05, 0.5)),
    "garbled_frame": Kind("the reader chip's answer is noise", 0.2, (0.01, 0.05)),
    # The network.
    "tunnel": Kind("no network for a while", 0.5, (0.01, 0.1)),
    "lose_request": Kind("a request never arrives", 0.5, (0.02, 0.4)),
    "cut_request": Kind("half a request arrives", 0.3, (0.02, 0.2)),
    "flip_request": Kind("a bit of a request changes", 0.3, (0.02, 0.2)),
    "repeat_request": Kind("a request arrives twice, the second time later", 0.5, (0.02, 0.4)),
    "slow_request": Kind("a request arrives after the device gave up", 0.5, (0.02, 0.3)),
    "lose_answer": Kind("an answer never arrives", 0.5, (0.02, 0.4)),
    "cut_answer": Kind("half an answer arrives", 0.3, (0.02, 0.2)),
    "flip_answer": Kind("a bit of an answer changes", 0.3, (0.02, 0.2)),
    "slow_answer": Kind("an answer arrives after the device gave up", 0.4, (0.02, 0.3)),
    # The attacker.
    "replay_request": Kind("an old request is sent again", 0.4, (0.02, 0.2)),
    "forge_request": Kind("a request is made with another key, or for other eyes", 0.3, (0.02, 0.2)),
    "replay_answer": Kind("the device gets an old answer instead of its own", 0.4, (0.02, 0.2)),
    "forge_answer": Kind("the device gets an answer that the service did not give", 0.4, (0.02, 0.2)),
    "forge_key_set": Kind("the device gets a key set that other roots have signed", 0.4, (0.3, 0.9), 3),
    # The service.
    "crash": Kind("the service crashes at a named point", 0.5, (0.02, 0.2)),
    "busy": Kind("somebody holds the database's lock", 0.3, (0.02, 0.2)),
    "overloaded": Kind("the service answers that it is busy, unsigned", 0.2, (0.02, 0.2)),
    "backup": Kind("the database is copied", 0.0, (0.05, 0.3)),
    "restore": Kind("the database is replaced by its last copy", 0.15, (0.02, 0.1), 2),
    "re_enrol": Kind("a technician enrols a validator anew, when it has sent everything", 0.08, (0.05, 0.2), 2),
    "list_change": Kind("the deny list gets another number, or many", 0.2, (0.05, 0.2), 4),
    "key_rotation": Kind("the service rotates one of its keys and announces it", 0.2, (0.05, 0.3), 3),
    "device_key": Kind("a technician lets a validator change its key", 0.15, (0.05, 0.3), 2),
    "retire": Kind("a validator leaves for good when all is done", 0.25, (1.0, 1.0), 1),
    "migrate": Kind("the schema is migrated while buses drive", 0.06, (0.02, 0.05), 1),
    "late_bus": Kind("a bus comes home after its day was closed", 0.3, (1.0, 1.0), 1),
}

# Riders' media, as often as each is named. Cash is quick to play and leaves all else as it is, so most riders have it: what is
# attacked lies behind the record. One schedule in eight has as many cards and tickets as cash.
MEDIA = ("cash", "card", "ticket")
_MIXES = (MEDIA, *7 * ((*18 * ("cash",), "card", "ticket"),))


@dataclass(frozen=True)
class Schedule:
    """One schedule.

    Attributes:
        taps: riders' turns.
        buses: how many.
        sectors: of each validator's flash.
        upload_interval_s: how long a tap may wait.
        policy_when_full: what the city has chosen.
        gap_ms: longest time between two riders.
        media: one of them is drawn for each rider.
        brings_documents: the validators come with fare table and deny list; otherwise they must fetch them first.
        rates: probability of each kind of fault that is enabled.
        without: faults that are left out: a kind, or `kind:number` for one of them.
    """

    seed: int
    taps: int = 200
    buses: int = 1
    sectors: int = 8
    upload_interval_s: int = 30
    policy_when_full: str = "refuse"
    gap_ms: int = 20_000
    media: tuple[str, ...] = MEDIA
    brings_documents: bool = True
    rates: dict[str, float] = field(default_factory=dict)
    without: frozenset[str] = frozenset()

    def leaving_out(self, faults: Iterable[str]) -> Schedule:
        return replace(self, without=self.without | frozenset(faults))


def draw_schedule(
    world: World, taps: int, without: frozenset[str] = frozenset(), needed: Iterable[str] = ()
) -> Schedule:
    """Return the schedule of a world's seed; kinds that are needed are enabled, and strike often."""
    chance = world.chance("schedule")
    buses = chance.choice((1, 1, 2, 3))
    sectors = chance.choice((4, 6, 8, 12))
    interval_s = chance.choice((20, 90, 180))
    policy = chance.choice(("refuse", "refuse", "free"))
    gap_ms = chance.choice((4_000, 12_000, 40_000))
    brings_documents = chance.random() < 0.8
    media = world.chance("media").choice(_MIXES)
    rates = {}
    for name in sorted(KINDS):
        kind = KINDS[name]
        is_enabled, rate = chance.random() < kind.enabled, chance.uniform(*kind.rates)
        if is_enabled:
            rates[name] = rate
    rates |= {name: KINDS[name].rates[1] for name in needed}
    if "restore" in rates:
        rates["backup"] = 0.2
    return Schedule(
        world.seed, taps, buses, sectors, interval_s, policy, gap_ms, media, brings_documents, rates, without
    )


class Faults:
    """Says at each opportunity whether a fault strikes.

    Attributes:
        struck: (moment, kind, number) of each that did.
    """

    def __init__(self, world: World, schedule: Schedule) -> None:
        self._world = world
        self._schedule = schedule
        self._streams = {name: world.chance(f"fault {name}") for name in schedule.rates}
        self._counts = dict.fromkeys(schedule.rates, 0)
        self._are_over = False
        self._forced: dict[str, int] = {}
        self.struck: list[tuple[int, str, int]] = []

    def force(self, name: str, times: int = 1) -> None:
        """Let a fault strike at its next opportunities, so many of them: a script knows what it wants."""
        self._forced[name] = times

    def end(self) -> None:
        """No fault strikes from now on."""
        self._are_over = True

    def strike(self, name: str) -> random.Random | None:
        """Return a stream of chance for a fault that strikes now, or None."""
        if self._forced.get(name):
            self._forced[name] -= 1
            self.struck.append((self._world.now_ms, name, self._forced[name]))
            return self._world.chance(f"forced {name} {self._forced[name]}")
        rate = self._schedule.rates.get(name)
        if rate is None or self._are_over or self._streams[name].random() >= rate:
            return None
        number = self._counts[name]
        if number >= KINDS[name].strikes_max:
            return None
        self._counts[name] += 1
        if name in self._schedule.without or f"{name}:{number}" in self._schedule.without:
            return None
        self.struck.append((self._world.now_ms, name, number))
        return self._world.chance(f"fault {name} {number}")
