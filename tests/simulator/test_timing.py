"""The declared model of times agrees with the standards that it quotes, and with the floor that was reckoned elsewhere."""

from __future__ import annotations

import random

import pytest

from simulator import timing

# Bytes there and back of each command: select, authenticate twice, two reads, value, debit, commit.
DESFIRE_RIDE = [(16, 2), (8, 18), (38, 34), (21, 42), (15, 26), (21, 22), (30, 10), (15, 22)]
EMV_RIDE = [(20, 60), (13, 90), (41, 60), (5, 100), (5, 250), (5, 250), (5, 240)]


def air(ride: list[tuple[int, int]], frame_bytes: int, kbits: int) -> float:
    return sum(timing.air_ms(there, back, frame_bytes, kbits) for there, back in ride)


def test_a_short_exchange_takes_what_the_standard_says() -> None:
    etu_ms = 128 / 13_560
    frames = (9 * (5 + 3) + 3 + 9 * (2 + 3) + 3) * etu_ms
    assert timing.air_ms(5, 2, 256, 106) == pytest.approx(frames + 2 * 0.0864)


def test_a_command_longer_than_a_frame_is_chained_and_each_block_confirmed() -> None:
    one, two = timing.air_ms(61, 2, 64, 106), timing.air_ms(62, 2, 64, 106)
    byte_ms = 9 * 128 / 13_560
    assert two - one > 4 * byte_ms + 2 * 0.0864


@pytest.mark.parametrize(
    ("ats", "size"), [(b"\x06\x75\x77\x81\x02\x80", 64), (b"\x05\x78\x80\x70\x02", 256), (b"\x01", 32)]
)
def test_a_card_says_how_long_its_frames_may_be(ats: bytes, size: int) -> None:
    assert timing.frame_bytes_of(ats) == size


def test_the_air_agrees_with_the_floor() -> None:
    assert 25 < air(DESFIRE_RIDE, 64, 106) < 40
    assert 7 < air(DESFIRE_RIDE, 64, 424) < 11
    assert 95 < air(EMV_RIDE, 256, 106) < 130
    assert 25 < air(EMV_RIDE, 256, 424) < 36


def test_a_faster_link_takes_less_time() -> None:
    times = [timing.LINKS[rate].frame_ms(70) for rate in (115_200, 921_600, 5_000_000)]
    assert times == sorted(times, reverse=True)
    assert times[0] == pytest.approx(70 * 10 / 115.2)


def test_a_card_works_longest_where_it_signs_or_commits() -> None:
    chance = random.Random(1)

    def mean(work: timing.CardWork, command: bytes) -> float:
        return sum(work.draw(command, 40, chance) for _ in range(200)) / 200

    assert mean(timing.DESFIRE, b"\x90\xc7\x00\x00\x09") > 2 * mean(timing.DESFIRE, b"\x00\xa4\x04\x00\x07")
    assert mean(timing.VISA_PLASTIC, b"\x80\xa8\x00\x00\x23") > 100 > mean(timing.VISA_PLASTIC, b"\x00\xb2\x01\x0c\x00")
    assert (
        mean(timing.MASTERCARD_PLASTIC, b"\x80\xae\x90\x00\x21")
        > mean(timing.MASTERCARD_PHONE, b"\x80\xae\x90\x00\x21")
        > 40
    )


def test_the_same_seed_draws_the_same_times() -> None:
    first, second = ([timing.CHIP.draw(random.Random(seed)) for seed in range(20)] for _ in range(2))
    assert first == second
    assert all(timing.CHIP.low <= each <= timing.CHIP.high for each in first)


def test_a_million_instructions_take_some_ten_milliseconds_on_every_board() -> None:
    for processor in timing.PROCESSORS.values():
        assert processor.cycles_low < processor.cycles_high
        assert 10 < processor.compute_ms(1_000_000) < 25
