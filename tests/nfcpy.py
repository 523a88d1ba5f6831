"""Nfcpy, a stack of readers that nobody here wrote. What it warns of when it is imported, and leaves open, is its own affair."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def nfcpy_on_terminal(path: str) -> Iterator[Any]:
    """Yield nfcpy's front end with its driver of a PN532 at a serial port, named by its whole path."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nfc.clf  # noqa: PLC0415 - importing it warns
        import nfc.clf.pn532  # noqa: PLC0415
        import nfc.clf.transport  # noqa: PLC0415

        front = nfc.clf.ContactlessFrontend()
        front.device = nfc.clf.pn532.init(nfc.clf.transport.TTY(path))
        front.device._path = path
        with front:
            yield front


@contextmanager
def nfcpy_on_udp(port: int) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nfc.clf  # noqa: PLC0415

        with nfc.ContactlessFrontend(f"udp:localhost:{port}") as front:
            yield front


def activate(front: Any) -> Any:  # noqa: ANN401 - untyped
    """Return the card before a front end, as nfcpy sees it; None when there is none."""
    import nfc.clf  # noqa: PLC0415
    import nfc.tag  # noqa: PLC0415

    target = front.sense(nfc.clf.RemoteTarget("106A"), iterations=3, interval=0.1)
    return None if target is None else nfc.tag.activate(front, target)
