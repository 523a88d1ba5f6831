"""One validator in a vehicle, in process: the production program on a board that loses power in the middle of anything.

What it does is seen from outside: the lights, what is on flash, what the cards committed.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from firmware import app
from firmware.journal import JournalError
from firmware.starting import NotEnrolled
from simulator.chaos import invariants
from simulator.chaos.board import Rtc, Store
from simulator.chaos.flash_witness import FlashWitness
from simulator.flash import NorFlash, PowerCut
from simulator.pn532_chip import Pn532Chip

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.journal import Journal
    from protocol.tap import Tap
    from simulator.chaos.board import ChaosBoard
    from simulator.chaos.network import Network
    from simulator.chaos.parts import WatchedLoop
    from simulator.chaos.run import Run
    from simulator.chaos.stored import Life
    from simulator.desfire_card import DesfireCard

_TURNS_MAX = 2_000
_START_BYTES_MAX = 900
_RUN = "run"


class Unit:
    """A validator.

    Attributes:
        accepted: fare by sequence of every green light in this epoch.
        debited: what a card paid in each transaction that it committed, by sequence of the intent; 0 for a ride without a fare.
        free_rides: green lights without a record, when the journal was full.
        power_cuts, boots: how often.
        cut_at_erase: when it leaves, the power fails after so many erased sectors; None for never.
        waits_to_cut: the power fails after so many more waits; None for never.
        card: what is in the field now.
        is_retired: it was enrolled anew, and lives on as another unit; or it has left for good.
        task: what it does when it is on: `run`, or for a technician `rotate` or `retire`.
        has_new_key: a technician has let it change its key.
        on_light, on_power_loss: told what a person beside the validator sees.
    """

    def __init__(
        self,
        run: Run,
        name: str,
        device: bytes,
        files: dict[str, bytes],
        epoch: int = 1,
        predecessor: Unit | None = None,
    ) -> None:
        self._run = run
        self.name = name
        self.device = device
        self.epoch = epoch
        self.files = files
        self.rtc = Rtc()
        self.nor: NorFlash = predecessor.nor if predecessor else NorFlash(run.schedule.sectors, seed=run.schedule.seed)
        self.flash = FlashWitness(self.nor, self._flash_fault, self._before_erase)
        self.flash.on_record = self._see_record
        if predecessor:
            self.flash.succeed(predecessor.flash)
        self.is_retired = False
        self.chip = Pn532Chip()
        self.board: ChaosBoard | None = None
        self.journal: Journal | None = None
        self.accepted: dict[int, int] = {}
        self.debited: dict[int, int] = {}
        self.free_rides = 0
        self.power_cuts = 0
        self.boots = 0
        self.waits_to_cut: int | None = None
        self.card: DesfireCard | None = None
        self.network: Network
        self.on_light: Callable[[str, list[str]], None] = lambda *_: None
        self.on_power_loss: Callable[[], None] = lambda: None
        self.on_start: Callable[[], None] = lambda: None
        self.on_erase: Callable[[list[int]], None] = lambda _: None
        self.was_stored: Callable[[int, bytes], bool] = lambda *_: False
        self._loop: WatchedLoop | None = None
        self._generation = 0
        self.task = _RUN
        self.has_new_key = False
        self.cut_at_erase: int | None = None
        self.on_store: Callable[[str], None] = lambda _: None
        self._shown: list[str] = []
        self._debits_seen = 0
        self._commits_seen = 0

    @property
    def is_on(self) -> bool:
        return self.board is not None

    @property
    def life(self) -> Life:
        return self.device, self.epoch

    # Power.

    def boot(self, task: str = _RUN) -> None:
        """Switch it on; its power may fail again at once."""
        run = self._run
        self.boots += 1
        self.task = task
        self.chip = Pn532Chip()
        strike = run.faults.strike("cut_at_start")
        self.nor.cut_after_bytes = strike.randrange(1, _START_BYTES_MAX) if strike else None
        run.trace(f"{self.name} starts")
        self.board = run.parts.board(
            run.world,
            self.flash,
            Store(self.files, self._before_store_write),
            self.rtc,
            run.world.chance(f"{self.name} random {self.boots}"),
            self.network.dial,
            self._hear,
            self._to_chip,
        )
        schedule = run.schedule
        try:
            self._loop = app.start(  # type: ignore[assignment]
                self.board, schedule.upload_interval_s, schedule.policy_when_full, self._parts(), task
            )
        except NotEnrolled:
            run.trace(f"{self.name} is enrolled nowhere")
            self.board = None
            return
        except PowerCut:
            self._power_is_gone("in its start")
            return
        except JournalError as error:
            run.report("the validator starts", [f"{self.name}: {error}"])
            self.board = None
            return
        assert self.journal is not None
        run.report("nothing promised is forgotten", invariants.check_nothing_is_forgotten(self))
        self.on_start()
        self.wake()

    def _parts(self) -> app.Parts:
        parts = copy.copy(self._run.parts.validator)
        make = parts.journal

        def journal(*arguments: object) -> Journal:
            self.journal = make(*arguments)
            return self.journal

        parts.journal = journal
        return parts

    def cut(self) -> None:
        """The power fails now."""
        if self.is_on:
            self._power_is_gone("")

    def _power_is_gone(self, where: str) -> None:
        self._run.trace(f"{self.name} loses power {where}".rstrip())
        self.power_cuts += 1
        self.switch_off()
        self.on_power_loss()

    def switch_off(self) -> None:
        """End the program where it stands."""
        self._generation += 1
        if self._loop is not None:
            self._loop.end()
        self.board = self._loop = None
        self.waits_to_cut = None
        self._shown = []

    def _before_store_write(self, name: str) -> None:
        if name == "retired" and self.cut_at_erase is not None:
            self.nor.cut_after_bytes, self.cut_at_erase = self.cut_at_erase, None
        if self._run.faults.strike("cut_at_store"):
            raise PowerCut
        self.on_store(name)

    # Running.

    def wake(self) -> None:
        """Let the validator run until it waits, and come back when it wants to be woken."""
        if self.board is None or self._loop is None:
            return
        self._generation += 1
        try:
            self._run_until_it_waits(self.board, self._loop)
        except PowerCut:
            self._power_is_gone("at a byte")
            return
        except SystemExit:
            self._run.trace(f"{self.name} has done its task")
            self.switch_off()
            self.boot()
            return
        except Exception as error:  # noqa: BLE001 - whatever ends the program is a finding
            self._run.report("the program never ends", [f"{self.name}: {type(error).__name__}: {error}"])
            self._power_is_gone("by its own fault")
            return
        if self.waits_to_cut is not None:
            self.waits_to_cut -= 1
            if self.waits_to_cut < 0:
                self._power_is_gone("at a wait")
                return
        self._come_back(self.board, self._loop)

    def _run_until_it_waits(self, board: ChaosBoard, loop: WatchedLoop) -> None:
        now_ms = self._run.world.now_ms
        for _ in range(_TURNS_MAX):
            board.nfc.deliver(self.chip.data_to_send(now_ms))
            if not loop.run_ready():
                return
        self._run.report("the program comes to rest", [f"{self.name} runs in a circle"])

    def _come_back(self, board: ChaosBoard, loop: WatchedLoop) -> None:
        moments = []
        deadline_ms, chip_ms = loop.next_deadline_ms(), self.chip.next_timeout_ms()
        if deadline_ms is not None:
            moments.append(board.moment_ms(deadline_ms))
        if chip_ms is not None:
            moments.append(chip_ms)
        if moments:
            generation = self._generation
            self._run.world.at(min(moments), lambda: self._wake_if_nothing_came_first(generation))

    def _wake_if_nothing_came_first(self, generation: int) -> None:
        if generation == self._generation:
            self.wake()

    # What is seen of it.

    def _hear(self, kind: str, text: str) -> None:
        if kind == "show":
            self._shown = text.split()
        elif kind == "light":
            self._see_light(text)
        else:
            self._run.trace(f"{self.name} says {text}")

    def _see_light(self, colour: str) -> None:
        shown, self._shown = self._shown, []
        if not shown:
            return
        self._run.trace(f"{self.name} {colour} {' '.join(shown)}")
        if shown[0] in {"ok", "again"}:
            sequence = int(shown[1])
            self._run.report("a green light is durable", invariants.check_light_is_durable(self, sequence))
            self.accepted[sequence] = int(shown[2])
        elif shown[0] == "free":
            self.free_rides += 1
        self.on_light(colour, shown)

    def _to_chip(self, data: bytes) -> None:
        self.chip.receive_data(data, self._run.world.now_ms)
        if self.card is not None and self.card.counter > self._commits_seen:
            self._commits_seen = self.card.counter
            paid = self.card.committed_debits_minor[self._debits_seen :]
            self._debits_seen += len(paid)
            self._see_debit(sum(paid))

    def hold(self, card: DesfireCard) -> None:
        """Hold a card before the reader."""
        self.card, self._debits_seen, self._commits_seen = card, len(card.committed_debits_minor), card.counter
        self.chip.present(card, self._run.world.now_ms)
        self.wake()

    def take_away(self) -> None:
        """Take the card away."""
        if self.card is not None:
            self.chip.remove(self.card)
            self.card = None

    def _see_debit(self, amount_minor: int) -> None:
        intent = self.flash.last_intent
        self._run.trace(f"{self.name} card committed {amount_minor} for {intent}")
        self._run.report("a debit has an intent", invariants.check_debit_has_intent(self, intent))
        if intent is not None:
            self.debited[intent] = amount_minor

    def _see_record(self, tap: Tap) -> None:
        self._run.report("a synchronised clock is right", invariants.check_clock(self, tap, self._run.world.now_ms))

    def _flash_fault(self, invariant: str, text: str) -> None:
        self._run.report(invariant, [f"{self.name}: {text}"])

    def _before_erase(self, sequences: list[int]) -> None:
        self._run.trace(f"{self.name} erases {sequences[0]}-{sequences[-1]}" if sequences else f"{self.name} erases")
        self.on_erase(sequences)
        self._run.report("nothing unacknowledged is erased", invariants.check_erased_was_stored(self, sequences))
        if self.task != "retire":
            self._run.report("a day is kept while there is room", invariants.check_day_is_kept(self, sequences))
