"""`jolaqy-sim card`: a virtual card for any reader to try."""

from __future__ import annotations

import itertools
import signal
import threading
from pathlib import Path  # noqa: TC003 - typer reads annotations when it runs
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from simulator.card_images import write_card_images
from simulator.doors.door import Watched
from simulator.doors.pcsc import VPCD_PORT, PcscDoor, ReaderMissing
from simulator.doors.pn532_pty import Pn532Pty
from simulator.doors.udp import UdpDoor
from simulator.pn532_chip import Pn532Chip
from simulator.sample_cards import SAMPLE_CARDS, blank_card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.desfire_card import DesfireCard
    from simulator.doors.door import Door
    from simulator.iso_dep import Card

_EXIT_ERROR = 1
_EXIT_USAGE = 2
_aside = Console(stderr=True, soft_wrap=True)


def card(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"Which card: {', '.join(SAMPLE_CARDS)}.")],
    udp: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="For nfcpy's udp: driver; 0 takes a free port.")
    ] = None,
    pcsc: Annotated[
        bool, typer.Option("--pcsc", help="In the virtual reader of pcscd (package vsmartcard-vpcd).")
    ] = False,
    pcsc_port: Annotated[int, typer.Option(min=1, max=65535, help="Where that reader takes cards.")] = VPCD_PORT,
    pn532: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Before a virtual PN532; PATH becomes a name of its serial port."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=65535, help="So many blank cards in turn (with --pcsc).")] = 1,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the blank cards as they are at the end, for a simulated day."),
    ] = None,
) -> None:
    """Hold a virtual card before a reader until Ctrl-C, and tell which commands it is given.

    Its keys are test keys and written down in simulator/CARDS.md. Of a command its name and the card's status word are shown,
    of data nothing.

    Example: jolaqy-sim card transit --udp 54321 (for nfcpy as udp:localhost:54321)

    Example: jolaqy-sim card visa --pcsc (for any PC/SC program)

    Example: jolaqy-sim card transit --pn532 /tmp/pn532 (then: LIBNFC_DEFAULT_DEVICE=pn532_uart:/tmp/pn532 nfc-list)
    """
    if kind not in SAMPLE_CARDS:
        _fail(f"no card {kind}", f"choose one of {', '.join(SAMPLE_CARDS)}", _EXIT_USAGE)
    if [udp is not None, pcsc, pn532 is not None].count(True) != 1:
        _fail("say before which reader the card is held", "give one of --udp PORT, --pcsc, --pn532 PATH", _EXIT_USAGE)
    if (count > 1 and not pcsc) or ((count > 1 or keep) and kind != "blank"):
        _fail("--count and --keep are for blank cards, --count for --pcsc", "leave them out", _EXIT_USAGE)
    if kind == "blank":
        blanks = [blank_card(number) for number in range(1, count + 1)]
        shown = [Watched(each, _say) for each in blanks]
    else:
        blanks, shown = [], [Watched(SAMPLE_CARDS[kind](), _say)]
    if udp is not None:
        _serve(_open_udp(shown[0], udp))
    elif pcsc:
        _serve(_open_pcsc(shown, pcsc_port))
    else:
        assert pn532 is not None
        _serve(_open_pn532(shown[0], pn532))
    if keep is not None:
        _keep(keep, blanks)


def _open_udp(shown: Card, port: int) -> Door:
    try:
        door = UdpDoor(shown, port)
    except OSError as error:
        _fail(f"cannot take port {port}: {error.strerror}", "choose another one, or 0 for a free one")
    _say(f"card at udp:localhost:{door.port}")
    return door


def _open_pcsc(shown: Sequence[Card], port: int) -> Door:
    # Several cards come one after the other, and then none; a single one stays.
    cards = iter(shown) if len(shown) > 1 else itertools.repeat(shown[0])
    try:
        door = PcscDoor(cards, port, _say)
    except ReaderMissing:
        _fail(
            f"no virtual reader takes cards at port {port}",
            "install it (apt-get install pcscd vsmartcard-vpcd) and start pcscd (systemctl restart pcscd, or pcscd -f)",
        )
    _say("card in the virtual reader of pcscd")
    return door


def _open_pn532(shown: Card, path: Path) -> Door:
    try:
        door = Pn532Pty(Pn532Chip(), path)
    except OSError as error:
        _fail(
            f"cannot make {path}: {error.strerror}",
            "name a file that is not there yet, in a folder that you may write to",
        )
    door.present(shown)
    _say(f"card before the PN532 at {door.path}")
    return door


def _serve(door: Door) -> None:
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_over.set())
    with door:
        is_over.wait()


def _keep(path: Path, cards: Sequence[DesfireCard]) -> None:
    try:
        write_card_images(path, cards)
    except OSError as error:
        _fail(f"cannot write {path}: {error.strerror}", "name another file")


def _say(line: str) -> None:
    _aside.print(line, highlight=False)


def _fail(message: str, remedy: str, exit_code: int = _EXIT_ERROR) -> NoReturn:
    _aside.print(f"[bold red]error:[/] {message}", highlight=False)
    _aside.print(f"[dim]{remedy}[/]", highlight=False)
    raise typer.Exit(exit_code)
