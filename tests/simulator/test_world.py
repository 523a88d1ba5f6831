from __future__ import annotations

from simulator.world import World


def test_events_run_in_the_order_of_their_moments_and_then_of_asking() -> None:
    world, seen = World(1, 1000), []
    world.at(3000, lambda: seen.append(("late", world.now_ms)))
    world.after(500, lambda: seen.append(("first", world.now_ms)))
    world.at(1500, lambda: seen.append(("second", world.now_ms)))
    while world.next_event_ms() is not None:
        world.run_next()
    assert seen == [("first", 1500), ("second", 1500), ("late", 3000)]


def test_what_was_to_happen_in_the_past_happens_now() -> None:
    world, seen = World(1, 1000), []
    world.at(10, lambda: seen.append(world.now_ms))
    assert world.next_event_ms() == 1000
    world.run_next()
    assert seen == [1000]


def test_an_event_may_ask_for_others() -> None:
    world, seen = World(1, 0), []
    world.at(1, lambda: world.after(1, lambda: seen.append(world.now_ms)))
    while world.next_event_ms() is not None:
        world.run_next()
    assert seen == [2]


def test_a_stream_of_chance_depends_on_the_seed_and_its_own_name_alone() -> None:
    world = World(7, 0)
    alone = [world.chance("riders").random() for _ in range(3)]
    assert len(set(alone)) == 1
    other = world.chance("network")
    assert other.random() != alone[0]
    assert world.chance("riders").random() == World(7, 99).chance("riders").random() == alone[0]
    assert World(8, 0).chance("riders").random() != alone[0]
