"""Whatever comes over the vehicle's network: nothing is raised, and nobody is taken for one who has paid."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.test_neighbours import Door, make_tap, told

GENUINE = told(make_tap())


@given(st.lists(st.binary(max_size=700), max_size=20))
def test_junk_is_counted_and_changes_nothing(datagrams: list[bytes]) -> None:
    door = Door(1)
    for datagram in datagrams:
        door.neighbours.hear(datagram)
    assert sum(door.neighbours.refused.values()) == len(datagrams)
    assert not door.has_passed(make_tap())


@given(st.integers(0, len(GENUINE) - 1), st.integers(1, 255))
def test_one_changed_byte_is_one_forged_datagram(index: int, change: int) -> None:
    door = Door(1)
    changed = bytearray(GENUINE)
    changed[index] ^= change
    door.neighbours.hear(bytes(changed))
    assert sum(door.neighbours.refused.values()) == 1
    assert not door.has_passed(make_tap())
    door.neighbours.hear(GENUINE)
    assert door.has_passed(make_tap())


@given(st.permutations(range(1, 9)))
def test_in_whatever_order_datagrams_come_each_counts_once_at_most(order: list[int]) -> None:
    here, sender = Door(1), Door(2)
    datagrams = [told(make_tap(number, token=number.to_bytes(16, "little")), sender) for number in range(1, 9)]
    highest = believed = 0
    for number in order:
        here.neighbours.hear(datagrams[number - 1])
        believed += number > highest
        highest = max(highest, number)
    assert sum(here.neighbours.refused.values()) == len(order) - believed
    passed = [n for n in range(1, 9) if here.has_passed(make_tap(token=n.to_bytes(16, "little")))]
    assert len(passed) == believed
