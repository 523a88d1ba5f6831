"""Any PC/SC reader with a card on it, by pyscard's plain interface to pcscd: no threads, and every error is a sentence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from hardware.problem import EXIT_NOTHING_FOUND, Problem

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType
    from typing import Any, Self

    Result = TypeVar("Result")

_GET_UID = b"\xff\xca\x00\x00\x00"
_SW_OK = b"\x90\x00"
_LOOK_MS = 250
_SETTLE_S = 0.3
_CONNECT_TRIES = 4
_NO_SERVICE = 0x8010001D
_SECURITY_VIOLATION = 0x8010006A
_NO_READERS = 0x8010002E
_SHARING_VIOLATION = 0x8010000B
_TIMEOUT = 0x8010000A


class CardGone(Problem):
    """The card left the reader before it was done."""

    def __init__(self) -> None:
        super().__init__(
            "the card left the reader too early", "put the same card on the reader again and leave it there"
        )


def _scard() -> Any:  # noqa: ANN401 - untyped
    try:
        from smartcard import scard  # noqa: PLC0415 - only who has a reader needs it
    except ImportError:
        raise Problem("pyscard is not installed", "run: pip install 'jolaqy[bench]'") from None
    return scard


class Card:
    """A card on a reader, for as long as the context lasts; its power goes off at the end, so that it forgets the session."""

    def __init__(self, scard: Any, handle: Any, protocol: int) -> None:  # noqa: ANN401 - untyped
        self._scard = scard
        self._handle = handle
        self._protocol = protocol

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._scard.SCardDisconnect(self._handle, self._scard.SCARD_UNPOWER_CARD)

    def transmit(self, apdu: bytes) -> bytes:
        """Return the response to a command APDU.

        Raises:
            CardGone: there was none.
        """
        result, response = self._scard.SCardTransmit(self._handle, self._protocol, list(apdu))
        if result != self._scard.SCARD_S_SUCCESS or len(response) < len(_SW_OK):
            raise CardGone
        return bytes(response)

    def hold(self, conversation: Generator[bytes, bytes, Result]) -> Result:
        """Hold a conversation with the card and return its result."""
        try:
            command = next(conversation)
            while True:
                command = conversation.send(self.transmit(command))
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            conversation.close()

    def read_uid(self) -> bytes:
        """Return the UID as the reader knows it from anticollision."""
        response = self.transmit(_GET_UID)
        if response[-2:] != _SW_OK:
            raise Problem("the reader does not tell the card's UID", "use a contactless PC/SC reader")
        return response[:-2]


class CardReader:
    """All readers, or the one whose name contains `name`.

    Raises:
        Problem: there is none, or pcscd cannot be reached.
    """

    def __init__(self, name: str = "") -> None:
        self._scard = _scard()
        result, self._context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_USER)
        self._require(result)
        result, names = self._scard.SCardListReaders(self._context, [])
        if result & 0xFFFFFFFF != _NO_READERS:
            self._require(result)
        self._names: list[str] = [each for each in names or () if name.lower() in each.lower()]
        if not self._names:
            asked = f"no card reader with {name!r} in its name" if name else "no card reader"
            there = f"there is: {', '.join(names)}" if names else "plug one in; `pcsc_scan` shows what pcscd sees"
            raise Problem(asked, there, EXIT_NOTHING_FOUND)

    def close(self) -> None:
        self._scard.SCardReleaseContext(self._context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def wait_for_card(self, patience_s: float) -> Card:
        """Return the next card.

        Raises:
            Problem: none came, or another program keeps it for itself.
        """
        until = time.monotonic() + patience_s
        while True:
            present = self._with_card()
            if present:
                card = self._connect(present[0])
                if card is not None:
                    return card
            if time.monotonic() >= until:
                raise Problem(f"no card came within {patience_s:g} s", "put a card on the reader", EXIT_NOTHING_FOUND)
            self._wait_for_change(until)

    def wait_until_empty(self, patience_s: float) -> None:
        """Wait until no card is on a reader, so that none is taken for the next one."""
        until = time.monotonic() + patience_s
        while self._with_card():
            if time.monotonic() >= until:
                raise Problem("the card is still on the reader", "take it away, then go on with the same command")
            self._wait_for_change(until)

    def _with_card(self) -> list[str]:
        states = self._states(0, [self._scard.SCARD_STATE_UNAWARE] * len(self._names))
        return [name for name, state in states if state & self._scard.SCARD_STATE_PRESENT]

    def _wait_for_change(self, until: float) -> None:
        known = [state for _, state in self._states(0, [self._scard.SCARD_STATE_UNAWARE] * len(self._names))]
        patience_ms = int(max(0.0, until - time.monotonic()) * 1000)
        self._states(min(patience_ms, _LOOK_MS), known)

    def _states(self, patience_ms: int, known: list[int]) -> list[tuple[str, int]]:
        asked = list(zip(self._names, known, strict=True))
        result, states = self._scard.SCardGetStatusChange(self._context, patience_ms, asked)
        if result & 0xFFFFFFFF != _TIMEOUT:
            self._require(result)
        return [(name, state) for name, state, _ in states]

    def _connect(self, name: str) -> Card | None:
        """Return the card on a reader; None when it is no more, or not yet, to be spoken to."""
        scard = self._scard
        for _ in range(_CONNECT_TRIES):
            result, handle, protocol = scard.SCardConnect(
                self._context, name, scard.SCARD_SHARE_EXCLUSIVE, scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
            )
            if result == scard.SCARD_S_SUCCESS:
                return Card(scard, handle, protocol)
            if result & 0xFFFFFFFF == _SHARING_VIOLATION:
                raise Problem("another program is using the card", "end it: only one can write to a card")
            time.sleep(_SETTLE_S)
        return None

    def _require(self, result: int) -> None:
        if result == self._scard.SCARD_S_SUCCESS:
            return
        code = result & 0xFFFFFFFF
        if code == _NO_SERVICE:
            raise Problem(
                "pcscd does not run", "start it: systemctl start pcscd.socket (Debian: apt-get install pcscd)"
            )
        if code == _SECURITY_VIOLATION:
            raise Problem(
                "pcscd does not let this user use readers",
                "ask for it: a polkit rule for org.debian.pcsc-lite.access_pcsc",
            )
        raise Problem(
            f"the reader fails: {self._scard.SCardGetErrorMessage(result)}", "unplug the reader, plug it in again"
        )
