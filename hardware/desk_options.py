"""What the commands of the card desk share: where the keys are, which reader, which desk, which service."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hardware.card_desk import CardDesk
from hardware.card_reader import Card, CardReader
from hardware.clearing_office import ClearingOffice
from hardware.desk_keys import DeskKeys, keys_from_file, keys_from_module
from hardware.desk_words import clock_of
from hardware.problem import EXIT_USAGE, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KeysOption = Annotated[Path | None, typer.Option("--keys", metavar="FILE", help="The city's key file (mode 600).")]
ModuleOption = Annotated[
    Path | None,
    typer.Option("--pkcs11", metavar="LIBRARY", help="A PKCS #11 module with the keys; its PIN in JOLAQY_PIN."),
]
TokenOption = Annotated[str, typer.Option("--token", metavar="LABEL", help="Which token of the module.")]
VersionOption = Annotated[int, typer.Option(min=1, max=255, help="Generation of the keys in the module.")]
ReaderOption = Annotated[
    str, typer.Option("--reader", metavar="NAME", help="Part of the reader's name; any reader if absent.")
]
PatienceOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0.1, help="How long to wait for a card.")
]
ServerOption = Annotated[
    str, typer.Option("--server", envvar="JOLAQY_SERVER", metavar="URL", help="The clearing service.")
]
CityOption = Annotated[str, typer.Option("--city", metavar="CODE", help="The city, as the service knows it.")]
TerminalOption = Annotated[
    str, typer.Option("--desk", metavar="NAME", help="Names this desk on cards, 4 letters at most.")
]
AsOfOption = Annotated[
    str, typer.Option("--as-of", metavar="MOMENT", help="Pretend that it is this ISO date or time (UTC).")
]
MakerOption = Annotated[
    Path | None,
    typer.Option(
        "--maker-key", metavar="FILE", help="The chip maker's public key, hexadecimal; chips of others are put aside."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_TERMINAL_BYTES = 4
_POINT_BYTES = 57
_POINT_UNCOMPRESSED = 0x04


@dataclass(frozen=True)
class AtDesk:
    """Where and when a command works.

    Attributes:
        patience_s: how long it waits for a card.
        now_s: tells the time, unix seconds.
    """

    reader: CardReader
    desk: CardDesk
    patience_s: float
    now_s: Callable[[], int]

    @contextmanager
    def card(self) -> Iterator[Card]:
        with self.reader.wait_for_card(self.patience_s) as card:
            yield card


@contextmanager
def at_desk(
    keys: DeskKeys, reader: str, patience_s: float, desk: str = "", as_of: str = "", maker_key: Path | None = None
) -> Iterator[AtDesk]:
    """Work at a desk with a reader."""
    name = desk.encode()
    if len(name) > _TERMINAL_BYTES:
        raise Problem(f"the desk's name {desk} is too long", "4 letters at most", EXIT_USAGE)
    now_s, maker = clock_of(as_of), None if maker_key is None else _maker_key(maker_key)
    with CardReader(reader) as found:
        yield AtDesk(found, CardDesk(keys, name.ljust(_TERMINAL_BYTES), now_s, maker), patience_s, now_s)


def _maker_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text())
    except OSError as error:
        raise Problem(
            f"the maker's key {path} cannot be read: {error.strerror}", "name its file: --maker-key FILE"
        ) from None
    except ValueError:
        key = b""
    if len(key) != _POINT_BYTES or key[0] != _POINT_UNCOMPRESSED:
        raise Problem(
            f"{path} is no maker's key", "it is 57 bytes in hexadecimal: 04, x and y, as the maker publishes it"
        )
    return key


def keys_of(file: Path | None, module: Path | None, token: str, version: int) -> DeskKeys:
    if file is not None and module is None:
        return keys_from_file(file)
    if module is None or file is not None:
        raise Problem("say where the keys are", "give one of --keys FILE, --pkcs11 LIBRARY", EXIT_USAGE)
    pin = os.environ.get("JOLAQY_PIN", "")
    if not pin:
        raise Problem(
            "the key module wants a PIN", "put it into JOLAQY_PIN; a command line can be read by others", EXIT_USAGE
        )
    return keys_from_module(module, token, pin, version)


def office_at(server: str) -> ClearingOffice:
    """Return the clearing office at a URL; its token is in JOLAQY_TOKEN.

    Raises:
        Problem: none is named.
    """
    if not server:
        raise Problem("no clearing service is named", "give --server URL, and its token in JOLAQY_TOKEN", EXIT_USAGE)
    home = Path(os.environ.get("JOLAQY_HOME", ".jolaqy"))
    return ClearingOffice(server, os.environ.get("JOLAQY_TOKEN", ""), home / "desk" / "outbox.jsonl")
