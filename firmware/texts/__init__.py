"""What rider and driver are told, in their language; loaded when a board has a display for words.

One module a language: `TEXTS` has, by decision code, a text for the rider (two lines of 20) and one for the driver (one of 40).
"""

from __future__ import annotations

LANGUAGES = ("kk", "ru", "en")
RIDER_CHARACTERS_MAX = 40
DRIVER_CHARACTERS_MAX = 40


def texts(language: str) -> dict[int, tuple[str, str]]:
    """Return rider's and driver's text by decision code."""
    if language == "kk":
        from firmware.texts.kk import TEXTS as kazakh  # noqa: PLC0415, N811

        return kazakh
    if language == "ru":
        from firmware.texts.ru import TEXTS as russian  # noqa: PLC0415, N811

        return russian
    from firmware.texts.en import TEXTS as english  # noqa: PLC0415, N811

    return english
