"""The traps of a back office that was restored from a backup: it has forgotten what all others know (SPEC.md "Refill")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clearing.fleet.keys import ACK
from simulator.chaos.scenario import Scenarios
from simulator.chaos.script import MINUTE_MS

if TYPE_CHECKING:
    from simulator.chaos.script import Script

RESTORES = Scenarios()
_trap = RESTORES.of


@_trap("this project, restore")
def restored_database_is_refilled(script: Script) -> None:
    """A back office restored from its backup lacks what was acknowledged since: it must not be overwritten meanwhile."""
    script.cash(10)
    script.come_home()
    script.scene.office.back_up()
    script.cash(150)
    script.come_home()
    script.restore()
    script.expect(not script.scene.unrefillable, "the validator still has all that the backup lacks")
    script.cash()
    script.wait_for(lambda: script.scene.knows_of_restore(script.unit), "the validator is told")
    script.tunnel()
    script.cash(190)
    script.come_home()
    script.expect(not script.scene.unrefillable, "nothing was overwritten that the back office lacked")


@_trap("this project, restore")
def key_of_a_device_is_forgotten(script: Script) -> None:
    """A back office restored from before a validator changed its key knows only the one that the validator has erased."""
    script.cash(2)
    script.come_home()
    script.scene.office.back_up()
    script.scene.change_device_key(script.unit, script.scene.world.chance("careful"))
    script.wait(5 * MINUTE_MS)
    script.wait_for_power()
    script.cash(3)
    script.come_home()
    script.restore()
    script.cash(5)
    script.wait_for(lambda: "rotation" in script.unit.files, "the validator offers its key again")
    script.scene.start_anew(script.unit)
    script.cash(2)
    script.come_home()


@_trap("this project, restore")
def number_of_a_list_is_given_twice(script: Script) -> None:
    """A number of a deny list is given out again with other entries: whoever has the first takes the second for the same."""
    changes, chance = script.scene.changes, script.scene.world.chance("lists")
    changes.change_list(chance)
    script.scene.office.back_up()
    for _ in range(3):
        changes.change_list(chance)
    script.wait_for(lambda: script.list_held == changes.newest_list, "the validator has the newest list")
    script.restore()
    changes.change_list(chance)
    script.wait_for(lambda: script.list_held == changes.newest_list, "it has the newest list again")
    script.expect(any(len(each) > 1 for each in changes.lists.values()), "some number was given out twice")


@_trap("this project, restore")
def number_of_a_key_set_is_given_twice(script: Script) -> None:
    """A key set of the same number names other keys: whoever has the first never asks for it, and believes no ack any more."""
    chance = script.scene.world.chance("keys")
    script.cash()
    script.come_home()
    script.scene.office.back_up()
    for _ in range(3):
        script.scene.changes.rotate_key(chance)
    script.cash(2)
    script.come_home()
    script.wait(60 * MINUTE_MS)
    script.restore()
    script.scene.changes.rotate(ACK, forget=False)
    script.cash(3)
    script.come_home()
    script.wait(26 * 60 * MINUTE_MS)
    script.cash(3)
    script.come_home()
