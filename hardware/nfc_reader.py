"""A technician's reader, whatever nfcpy drives: `usb`, `tty:USB0:pn532`, `udp:HOST:PORT`, or a serial port by its whole path.

It reads cards, and it plays one: then a validator's reader finds it as a card and speaks ISO-DEP to it. nfcpy leaves that
protocol to its user, so it is the virtual cards' own.
"""

from __future__ import annotations

import errno
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from hardware.card_reader import CardGone
from hardware.problem import EXIT_NOTHING_FOUND, EXIT_USAGE, Problem
from simulator.iso_dep import RATS, IsoDep
from simulator.type_a import SPEAKS_ISO_DEP, answer_to_request

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from simulator.iso_dep import Card

    Result = TypeVar("Result")

_LOOK_S = 0.1
_APDU_S = 2.0
_BLOCK_S = 2.0
_REMEDIES = {
    errno.ENODEV: "check the name: usb, tty:USB0:pn532, udp:HOST:PORT or a serial port's path; and that it is plugged in",
    errno.ENOENT: "check the path of the serial port",
    errno.EACCES: "this user may not open it: join the group of the device (dialout, plugdev), then log in again",
    errno.EBUSY: "another program has it: end pcscd (it takes USB readers too) or whatever else uses it",
}
# A reader that answers RATS by itself does not tell what it was asked: the smallest frames that readers use are safe.
_RATS_64 = bytes((RATS, 0x50))


def _nfcpy() -> Any:  # noqa: ANN401 - untyped
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import nfc.clf.pn532  # noqa: PLC0415 - only who has a reader needs it
            import nfc.clf.transport  # noqa: PLC0415
            import nfc.tag  # noqa: PLC0415
        except ImportError:
            raise Problem("nfcpy is not installed", "run: pip install 'jolaqy[bench]'") from None
    return nfc


@contextmanager
def open_reader(device: str) -> Iterator[Any]:
    """Yield nfcpy's front end of a reader.

    Raises:
        Problem: it cannot be opened.
    """
    nfc = _nfcpy()
    front = nfc.clf.ContactlessFrontend()
    try:
        if device.startswith("/"):
            front.device = nfc.clf.pn532.init(nfc.clf.transport.TTY(device))
            front.device._path = device  # noqa: SLF001 - nfcpy's own way of naming it
        elif not front.open(device):
            raise Problem(f"no reader at {device}", _REMEDIES[errno.ENODEV], EXIT_NOTHING_FOUND)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "unplug the reader, plug it in again")
        raise Problem(f"the reader {device} cannot be opened: {error}", remedy, EXIT_NOTHING_FOUND) from None
    except ValueError as error:
        raise Problem(f"no name of a reader: {device} ({error})", _REMEDIES[errno.ENODEV], EXIT_USAGE) from None
    try:
        yield front
    finally:
        front.close()


class NfcCard:
    """A card before the reader.

    Attributes:
        uid: as told in anticollision.
    """

    def __init__(self, tag: Any, nfc: Any) -> None:  # noqa: ANN401 - untyped
        self._tag = tag
        self._nfc = nfc
        self.uid = bytes(tag.identifier)

    def hold(self, conversation: Generator[bytes, bytes, Result]) -> Result:
        """Hold a conversation with the card and return its result.

        Raises:
            CardGone: it answers no more.
        """
        try:
            command = next(conversation)
            while True:
                command = conversation.send(bytes(self._tag.transceive(bytearray(command), _APDU_S)))
        except StopIteration as end:
            result: Result = end.value
            return result
        except (self._nfc.tag.TagCommandError, self._nfc.clf.CommunicationError):
            raise CardGone from None
        finally:
            conversation.close()


def wait_for_card(front: Any, patience_s: float) -> NfcCard:  # noqa: ANN401 - untyped
    """Return the next card that speaks ISO-DEP.

    Raises:
        Problem: none came.
    """
    nfc = _nfcpy()
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        target = front.sense(nfc.clf.RemoteTarget("106A"), iterations=1, interval=_LOOK_S)
        if target is None:
            time.sleep(_LOOK_S)
            continue
        tag = nfc.tag.activate(front, target)
        if tag is not None and tag.type == "Type4Tag":
            return NfcCard(tag, nfc)
    raise Problem(f"no card came within {patience_s:g} s", "hold a card to the reader", EXIT_NOTHING_FOUND)


def play_card(front: Any, card: Card, patience_s: float) -> float | None:  # noqa: ANN401 - untyped
    """Be a card until the other reader lets go of it; return how long it held it, seconds, or None if none came.

    Raises:
        Problem: the reader cannot be a card, or not one with such a UID.
    """
    nfc = _nfcpy()
    card.reset()
    local = nfc.clf.LocalTarget("106A")
    local.sens_res = bytearray(answer_to_request(card.uid))
    local.sdd_res = bytearray(card.uid)
    local.sel_res = bytearray((SPEAKS_ISO_DEP,))
    local.rats_res = bytearray(card.ats)
    try:
        found = front.listen(local, patience_s)
    except ValueError:
        raise Problem(
            "this reader plays cards with a random UID only (4 bytes, the first 08)",
            "let it play a bank card",
            EXIT_USAGE,
        ) from None
    except nfc.clf.UnsupportedTargetError:
        raise Problem("this reader cannot play a card", "use one with a PN532 or PN533", EXIT_USAGE) from None
    if found is None or not found.tt4_cmd:
        return None
    started = time.monotonic()
    _answer_blocks(front, nfc, IsoDep(card), bytes(found.tt4_cmd))
    return time.monotonic() - started


def _answer_blocks(front: Any, nfc: Any, blocks: IsoDep, first: bytes) -> None:  # noqa: ANN401 - untyped
    if first[0] != RATS:
        blocks.receive(_RATS_64)
    block: bytes | None = first
    while block is not None:
        answer = blocks.receive(block)
        is_over = answer is not None and not blocks.is_active
        try:
            heard = front.exchange(None if answer is None else bytearray(answer), 0 if is_over else _BLOCK_S)
        except nfc.clf.CommunicationError:
            return  # the other reader's field is gone
        block = bytes(heard) if heard else None
