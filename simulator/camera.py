"""A QR engine with its camera: a picture is turned, blurred and made noisy, decoded by zbar, and sent as a line over a UART.

What the camera does to a picture lies within what a rider's hand does to a phone; beyond it zbar reads nothing, and the rider
holds the phone again. pyzbar transcodes byte mode, so codes are alphanumeric (base45).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter
from pyzbar import pyzbar

from simulator.phone import render

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

_FRAME = (480, 480)
_SURROUNDINGS = 150
_SPOT = 0.2
_SMOOTHING = 1.0


@dataclass(frozen=True)
class View:
    """How the camera comes to see a picture.

    Attributes:
        size: its side, as a part of the frame's.
        angle: by which it is turned, degrees.
        blur: standard deviation, pixels.
        noise: standard deviation, of 255 levels of grey.
        keystone: by which part of the side the upper edge is shorter than the lower one.
        glare: levels of grey that a lamp adds in the middle of its spot, which lies beside the middle of the code.
    """

    size: float = 0.65
    angle: float = 0
    blur: float = 0
    noise: float = 0
    keystone: float = 0
    glare: float = 0


def see(picture: NDArray[np.uint8], view: View, seed: int) -> Image.Image:
    """Return what the camera sees; the noise comes from the seed."""
    image = Image.fromarray(picture)
    side = int(_FRAME[0] * view.size)
    image = image.resize((side, side), Image.Resampling.BILINEAR)
    frame = Image.new("L", _FRAME, _SURROUNDINGS)
    frame.paste(image, ((_FRAME[0] - side) // 2, (_FRAME[1] - side) // 2))
    if view.keystone:
        frame = _lean(frame, side, view.keystone)
    frame = frame.rotate(view.angle, Image.Resampling.BILINEAR, fillcolor=_SURROUNDINGS)
    frame = frame.filter(ImageFilter.GaussianBlur(view.blur))
    seen = np.asarray(frame, dtype=np.float32) + view.glare * _spot(side)
    seen += np.random.default_rng(seed).normal(0, view.noise, (_FRAME[1], _FRAME[0]))
    return Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8))


def _lean(frame: Image.Image, side: int, keystone: float) -> Image.Image:
    """Let the upper edge of the picture be further away."""
    left, top = (_FRAME[0] - side) / 2, (_FRAME[1] - side) / 2
    right, bottom = left + side, top + side
    inset = side * keystone / 2
    seen = ((left + inset, top), (right - inset, top), (right, bottom), (left, bottom))
    real = ((left, top), (right, top), (right, bottom), (left, bottom))
    rows = [
        row
        for (x, y), (u, v) in zip(seen, real, strict=True)
        for row in ((x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y))
    ]
    found = np.linalg.solve(np.array(rows), np.array([number for point in real for number in point]))
    return frame.transform(
        _FRAME, Image.Transform.PERSPECTIVE, list(found), Image.Resampling.BILINEAR, fillcolor=_SURROUNDINGS
    )


def _spot(side: int) -> NDArray[np.float32]:
    """Return how much of a lamp's light falls on each pixel, 0 to 1."""
    y, x = np.mgrid[0 : _FRAME[1], 0 : _FRAME[0]]
    distance = np.hypot(x - _FRAME[0] / 2 - side * _SPOT, y - _FRAME[1] / 2 + side * _SPOT)
    light: NDArray[np.float32] = np.exp(-((distance / (side * _SPOT)) ** 2)).astype(np.float32)
    return light


def photograph(picture: NDArray[np.uint8], chance: random.Random) -> Image.Image:
    """Return what the camera sees of a picture in a rider's hand."""
    size, angle, blur = chance.uniform(0.6, 0.7), chance.uniform(-25, 25), chance.uniform(0, 1.1)
    seed = chance.getrandbits(32)
    return see(picture, View(size, angle, blur, chance.uniform(0, 20)), seed)


def read_code(image: Image.Image) -> str | None:
    """Return the text of the code in a picture, or None when zbar finds none: as it is, or with its noise smoothed away."""
    for look in (image, image.filter(ImageFilter.GaussianBlur(_SMOOTHING))):
        found = pyzbar.decode(look, symbols=[pyzbar.ZBarSymbol.QRCODE])
        if found:
            return str(found[0].data, "ascii", "replace")
    return None


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
