"""A QR engine with its camera: a picture is turned, blurred and made noisy, decoded by zbar, and sent as a line over a UART.

What the camera does to a picture lies within what a rider's hand does to a phone; beyond it zbar reads nothing, and the rider
holds the phone again. pyzbar transcodes byte mode, so codes are alphanumeric (base45).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter
from pyzbar import pyzbar

from simulator.phone import render

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

_FRAME = (480, 480)


def photograph(picture: NDArray[np.uint8], chance: random.Random) -> Image.Image:
    """Return what the camera sees of a picture: scaled into the frame, turned, blurred, with noise."""
    image = Image.fromarray(picture)
    side = int(_FRAME[0] * chance.uniform(0.6, 0.7))
    image = image.resize((side, side), Image.Resampling.BILINEAR)
    frame = Image.new("L", _FRAME, 150)
    frame.paste(image, ((_FRAME[0] - side) // 2, (_FRAME[1] - side) // 2))
    frame = frame.rotate(chance.uniform(-25, 25), Image.Resampling.BILINEAR, fillcolor=150)
    frame = frame.filter(ImageFilter.GaussianBlur(chance.uniform(0, 1.1)))
    noise = np.random.default_rng(chance.getrandbits(32)).normal(0, chance.uniform(0, 20), (_FRAME[1], _FRAME[0]))
    return Image.fromarray(np.clip(np.asarray(frame, dtype=np.float32) + noise, 0, 255).astype(np.uint8))


def read_code(image: Image.Image) -> str | None:
    """Return the text of the code in a picture, or None when zbar finds none."""
    found = pyzbar.decode(image, symbols=[pyzbar.ZBarSymbol.QRCODE])
    return found[0].data.decode("ascii", "replace") if found else None


class QrScanner:
    """The engine on its UART: a sans-IO session.

    Attributes:
        seen, unread: pictures taken, and those in which nothing was found.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._waiting: list[tuple[int, bytes]] = []
        self.seen = 0
        self.unread = 0

    def look_at(self, text: str, now_ms: int) -> bool:
        """Somebody shows a phone with that text; return whether the engine read it."""
        self.seen += 1
        read = read_code(photograph(render(text), self._chance))
        if read is None:
            self.unread += 1
            return False
        self._waiting.append((now_ms + 60, read.encode() + b"\r\n"))
        return True

    def receive_data(self, data: bytes, now_ms: int) -> None:
        """Take settings; this engine has none."""

    def data_to_send(self, now_ms: int) -> bytes:
        due = b"".join(data for when_ms, data in self._waiting if when_ms <= now_ms)
        self._waiting = [entry for entry in self._waiting if entry[0] > now_ms]
        return due

    def next_timeout_ms(self) -> int | None:
        return min((when_ms for when_ms, _ in self._waiting), default=None)
