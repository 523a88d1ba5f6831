"""The traps that others fell into: one scripted scenario for each, with the project and the issue in which it was described.

Everything that is checked of any schedule is checked of these, too; beyond that each has assertions of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.tap import CLOCK_UNKNOWN, KIND_BOOT
from simulator.chaos.restores import RESTORES
from simulator.chaos.scenario import Held, Scenarios
from simulator.chaos.script import DAY_MS, HOUR_MS, MINUTE_MS, Script

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.chaos.stage import Stage

_RECORD_BYTES = 128
_THIRTY_YEARS_MS = 10_957 * DAY_MS


SCENARIOS = Scenarios(RESTORES.all)
_trap = SCENARIOS.of


def play_scenario(name: str, stage: Stage, folder: Path) -> Held:
    """Play one scenario."""
    scenario = {scenario.name: scenario for scenario in SCENARIOS.all}[name]
    script = Script(stage, folder)
    try:
        scenario.act(script)
        return Held(name, scenario.reference, scenario.trap, script.finish())
    finally:
        script.scene.close()


# The offline queue.


@_trap("EVerest/libocpp 420")
def future_dated_event_blocks_the_queue(script: Script) -> None:
    """One event from the future is refused, and everything behind it waits."""
    script.tunnel()
    script.unit.rtc.jump(DAY_MS)
    script.cash(2)
    script.unit.rtc.jump(-DAY_MS)
    script.cash(2)
    script.come_home()
    script.expect(script.odd_days == [], "no tap is counted on another day without being flagged")


@_trap("MicroOcpp 454")
def first_event_lost_when_reset_offline(script: Script) -> None:
    """The first event after a start lies in memory only, and a reset without network loses it."""
    script.come_home()
    script.tunnel()
    script.cut()
    script.cash()
    script.cut()
    script.expect(len(script.unit.accepted) == 1, "one rider saw green")


@_trap("EVerest/libocpp 907")
def double_send_at_boot(script: Script) -> None:
    """Two ways of recovery send the same events after a start, and they are two."""
    script.cash(3)
    script.force("slow_request")
    script.wait_for(lambda: script.unit.network.requests > 1, "the batch is on its way")
    script.cut()
    script.come_home()
    script.wait(3 * MINUTE_MS)
    script.expect(script.stored == script.unit.journal.next_sequence - 1, "each record is stored, once")  # type: ignore[union-attr]


@_trap("EVerest/libocpp 495")
def server_gives_the_numbers(script: Script) -> None:
    """Events recorded offline have no number until a server gives one, and are told apart by nothing."""
    script.tunnel()
    script.cash(4)
    script.daylight()
    script.force("repeat_request", 3)
    script.come_home()
    records = script.scene.stored.chain(script.unit.life).records
    script.expect(records == script.unit.flash.records, "the back office has the validator's own numbers")


@_trap("lbbrhzn/ocpp 2135")
def sequence_received_but_ignored(script: Script) -> None:
    """A message from the middle of the queue is taken, and nobody misses those before it."""
    script.scene.office.back_up()
    script.cash(4)
    script.come_home()
    script.restore()
    script.expect(script.stored <= 1, "the backup has no ride")
    script.cash(2)
    script.come_home()
    script.expect(script.scene.stored.chain(script.unit.life).is_whole, "the validator went back to the gap")


@_trap("steve-community/steve 1294")
def success_answered_nothing_stored(script: Script) -> None:
    """The transaction failed, and the answer was success all the same."""
    for fault in ("busy", "crash", "overloaded"):
        script.cash()
        script.force(fault)
        script.wait(2 * MINUTE_MS)
        script.wait_for(lambda: not script.scene.office.is_down, "the service is up again")
        script.come_home()


@_trap("steve-community/steve 134")
def poison_record_gets_no_answer(script: Script) -> None:
    """One record that the server cannot take gets no answer at all, and the device is stuck with it."""
    script.cash()
    journal = script.unit.journal
    assert journal is not None
    journal.append(lambda _: b"\xa1\x00\x02 nobody can read this")
    script.cash()
    script.come_home()
    script.expect("unreadable" in script.reasons, "it is on the exceptions list")


@_trap("EVerest/libocpp 1137")
def late_answer_after_giving_up(script: Script) -> None:
    """The answer comes when the device has given up and sent again, and confuses the queue."""
    script.cash(2)
    script.force("slow_answer")
    script.wait(3 * MINUTE_MS)
    script.cash()


@_trap("steve-community/steve 1963")
def time_goes_back(script: Script) -> None:
    """Time regressions and stamps from the future are dropped silently."""
    script.tunnel()
    for offset_ms in (-40 * DAY_MS, 80 * DAY_MS, -40 * DAY_MS):
        script.unit.rtc.jump(offset_ms)
        script.cash()
    script.come_home()
    script.expect(script.odd_days == [], "what is odd is put right or flagged, not dropped")


@_trap("keyple-java 502")
def card_torn_away_three_outcomes(script: Script) -> None:
    """A card that leaves in mid-debit is paid, is not, or nobody knows; held again, it is charged again."""
    for command in range(1, 9):
        for carried_out in (False, True):
            holder = script.scene.holders[command % 3]
            before = len(holder.card.committed_debits_minor)
            holder.card.tear_at(command, carried_out=carried_out)
            script.card(command % 3)
            debits = len(holder.card.committed_debits_minor) - before
            script.expect(debits <= 1, f"torn in command {command}: {debits} debits for one ride")
            script.wait(2 * MINUTE_MS)


# Flash and MicroPython.


@_trap("micropython 7960")
def file_system_lost_at_power_cut(script: Script) -> None:
    """A power cut in the middle of a write takes the whole file system along."""
    script.tunnel()
    for after_bytes in range(0, 2 * _RECORD_BYTES, 13):
        script.unit.nor.cut_after_bytes = after_bytes
        script.cash()
    script.expect(script.unit.power_cuts > 10, "the power failed at many bytes")


@_trap("esp_littlefs 48")
def flush_is_not_enough(script: Script) -> None:
    """What was flushed is not yet durable, and a power cut after the green light loses it."""
    script.tunnel()
    for _ in range(5):
        script.press_cash_and_cut_at_the_light()
    script.expect(len(script.unit.accepted) == 5, "the light was green before each power cut")


@_trap("micropython 11449")
def small_files_without_sync(script: Script) -> None:
    """There is no way to sync a file: after a power cut it is old, or empty."""
    for _ in range(3):
        script.force("cut_at_store")
        script.cut()
    script.cash()
    taps = script.unit.flash.taps.values()
    boots = [tap.boot for tap in taps if tap.kind == KIND_BOOT]
    script.expect(boots == sorted(set(boots)), "no start has the number of another")


@_trap("micropython 2724")
def clock_back_at_2000(script: Script) -> None:
    """After a reset the clock says 2000, or is thirty years off by another epoch, and taps are of no day."""
    script.come_home()
    script.tunnel()
    script.unit.rtc.is_dead = True
    script.cut()
    script.cash(2)
    unknown = [tap for tap in script.unit.flash.taps.values() if tap.clock_quality == CLOCK_UNKNOWN]
    script.expect(len(unknown) >= 2, "a tap with an unknown clock says so")
    script.unit.rtc.is_dead = False
    script.unit.rtc.jump(_THIRTY_YEARS_MS)
    script.cut()
    script.cash(2)
    script.come_home()
    script.expect("clock_unknown" in script.reasons, "they are on the exceptions list, and counted when they came")


# What we met ourselves.


@_trap("this project, journal")
def full_ring_waits_for_its_own_ack(script: Script) -> None:
    """A ring that is full must not need a place to note that something was acknowledged."""
    script.tunnel()
    script.cash(300)
    script.expect(len(script.unit.accepted) < 300, "the ring is full, and riders were refused")
    script.wait(HOUR_MS)
    script.come_home()
    script.cash(3)
