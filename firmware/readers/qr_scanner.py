"""A serial QR engine: it sends what it read as a line of text (CR, LF or both). Noise and endless lines are dropped."""

from __future__ import annotations

from protocol.compat import const

LINE_BYTES_MAX = const(512)


class LineDecoder:
    """Collects bytes into lines of printable text."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._spoilt = False
        self._lines: list[str] = []

    def receive(self, data: bytes) -> None:
        for byte in data:
            if byte in {0x0A, 0x0D}:
                if self._line and not self._spoilt:
                    self._lines.append(bytes(self._line).decode())
                self._line = bytearray()
                self._spoilt = False
            elif len(self._line) == LINE_BYTES_MAX or not 0x20 <= byte < 0x7F:
                self._spoilt = True
            else:
                self._line.append(byte)

    def next_line(self) -> str | None:
        """Return the next whole line, or None."""
        return self._lines.pop(0) if self._lines else None
