"""What the rider sees and hears."""

from __future__ import annotations

from firmware.feedback import LIGHTS, SOUNDS, Feedback
from firmware.texts import DRIVER_CHARACTERS_MAX, LANGUAGES, RIDER_CHARACTERS_MAX, texts
from protocol import decisions
from tests.firmware.bench_board import BenchBoard


def told(action: str, *arguments: object) -> list[str]:
    board = BenchBoard()
    getattr(Feedback(board), action)(*arguments)
    return board.told


def test_a_paid_ride_is_green_with_number_fare_and_balance() -> None:
    assert told("accepted", 7, 12_000, 88_000) == ["show ok 7 12000 88000", "light green", "beep ok"]
    assert told("accepted", 7, 0, None) == ["show ok 7 0 -", "light green", "beep ok"]
    assert told("accepted", 7, 12_000, 0) == ["show ok 7 12000 0", "light green", "beep ok"]


def test_a_ride_that_was_paid_a_moment_ago_is_amber() -> None:
    assert told("again", 7, 12_000, 88_000) == ["show again 7 12000 88000", "light amber", "beep ok"]


def test_a_free_ride_is_green() -> None:
    assert told("free") == ["show free", "light green", "beep ok"]


def test_money_that_comes_is_told_and_the_light_of_the_ride_stays() -> None:
    assert told("hold_on") == ["show hold on", "beep hold again"]
    assert told("topped_up", 9, 500_000, 588_000) == ["show loaded 9 500000 588000", "light green", "beep ok"]
    assert told("top_up_later") == ["show later", "light amber", "beep hold again"]


def test_a_refusal_is_red_with_its_reason() -> None:
    assert told("refused", 3) == ["show refused 3", "light red", "beep refused"]


def test_a_concession_sounds_different_and_so_does_hold_again() -> None:
    board = BenchBoard()
    Feedback(board).accepted(7, 6_000, None, is_concession=True)
    assert board.told[1:] == ["light green", "beep concession"]
    for decision in (7, 14, 17):
        assert told("refused", decision)[1:] == ["light red", "beep hold again"]


def test_every_light_and_sound_has_a_pattern() -> None:
    assert sorted(LIGHTS) == ["amber", "green", "red"]
    assert sorted(SOUNDS) == ["concession", "hold again", "ok", "refused"]


def test_words_are_shown_in_each_language_of_the_bus_and_the_driver_is_told_what_is_wrong() -> None:
    board = BenchBoard()
    board.languages = ["kk", "en"]
    Feedback(board).refused(1)
    assert board.told[-2:] == ["say kk Картада қаражат жеткіліксіз", "say en Not enough money on the card"]
    assert board.driver.written == "Картада қаражат жетпейді\nPurse too low\n".encode()
    Feedback(board).accepted(7, 0, None)
    assert board.told[-1] == "say en Welcome"
    assert board.driver.written.endswith(b"Purse too low\n"), "nothing more"


def test_every_reason_has_words_that_fit_in_every_language() -> None:
    codes = {getattr(decisions, name) for name in dir(decisions) if name.startswith("DECISION_")}
    for language in LANGUAGES:
        said = texts(language)
        assert codes <= set(said), (language, codes - set(said))
        for code, (rider, driver) in said.items():
            assert 0 < len(rider) <= RIDER_CHARACTERS_MAX, (language, code)
            assert 0 < len(driver) <= DRIVER_CHARACTERS_MAX, (language, code)
