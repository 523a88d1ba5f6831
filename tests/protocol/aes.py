"""The AES of the Python that runs the tests."""

from __future__ import annotations

from protocol.compat import MICROPYTHON

if MICROPYTHON:
    from firmware.boards.crypto_micropython import Aes
else:
    from firmware.boards.crypto_cpython import Aes  # type: ignore[assignment]

__all__ = ["Aes"]
