"""`jolaqy-bench card …`: the card desk on the command line."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hardware.card_issuing import issue
from hardware.desk_options import (
    AsOfOption,
    CityOption,
    JsonOption,
    KeysOption,
    ModuleOption,
    PatienceOption,
    ReaderOption,
    ServerOption,
    TerminalOption,
    TokenOption,
    VersionOption,
    at_desk,
    keys_of,
    office_at,
)
from hardware.desk_words import minor, say, tell_card
from hardware.problem import EXIT_USAGE, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hardware.card_desk import CardDesk
    from hardware.card_reader import Card
    from hardware.clearing_office import ClearingOffice
    from hardware.desk_keys import DeskKeys
    from protocol.cards.desfire_issue import DeskCard

app = typer.Typer(
    name="card",
    help="The card desk: make, read, load, block and retire transport cards on any PC/SC reader.",
    no_args_is_help=True,
)
app.command("issue")(issue)


@app.command("read")
def read(
    keys: KeysOption = None,
    pkcs11: ModuleOption = None,
    token: TokenOption = "jolaqy",  # noqa: S107 - a label
    key_version: VersionOption = 1,
    reader: ReaderOption = "",
    wait: PatienceOption = 60,
    as_json: JsonOption = False,
) -> None:
    """Say what is on a card of ours: whose it is (by token), its purse, its passes, its last events.

    Example: jolaqy-bench card read --keys keys.json --json
    """
    with at_desk(keys_of(keys, pkcs11, token, key_version), reader, wait) as at, at.card() as card:
        tell_card(*at.desk.open(card), as_json)


@app.command("topup")
def topup(
    amount: Annotated[str, typer.Argument(metavar="TENGE", help="How much money was taken.")],
    keys: KeysOption = None,
    pkcs11: ModuleOption = None,
    token: TokenOption = "jolaqy",  # noqa: S107 - a label
    key_version: VersionOption = 1,
    city: CityOption = "",
    reader: ReaderOption = "",
    wait: PatienceOption = 60,
    desk: TerminalOption = "DESK",
    server: ServerOption = "",
    as_of: AsOfOption = "",
    as_json: JsonOption = False,
) -> None:
    """Put money onto a card, and tell clearing that it was taken.

    Example: jolaqy-bench card topup 1000 --keys keys.json --city almaty --server http://127.0.0.1:8000
    """
    amount_minor = minor(amount)
    if not amount_minor:
        raise Problem("a top-up of nothing", "name an amount in tenge: 1000", EXIT_USAGE)
    desk_keys = keys_of(keys, pkcs11, token, key_version)
    with _card_to_change(desk_keys, reader, wait, desk, as_of, server) as held:
        held.desk.top_up(held.card, held.opened, amount_minor)
        order = {
            "reference": f"desk-{held.token}-{held.opened.counter}",
            "token": held.token,
            "amount_minor": amount_minor,
            "at_s": held.now_s(),
            "city": city,
        }
        _tell_office(held.office, "/v1/top-ups", order)
        held.tell(as_json)


@app.command("block")
def block(
    keys: KeysOption = None,
    pkcs11: ModuleOption = None,
    token: TokenOption = "jolaqy",  # noqa: S107 - a label
    key_version: VersionOption = 1,
    city: CityOption = "",
    reader: ReaderOption = "",
    wait: PatienceOption = 60,
    desk: TerminalOption = "DESK",
    server: ServerOption = "",
    as_of: AsOfOption = "",
    as_json: JsonOption = False,
) -> None:
    """Block a card that is on the reader: it says so itself from now on, and stands on the city's deny list.

    Example: jolaqy-bench card block --keys keys.json --city almaty --server http://127.0.0.1:8000
    """
    desk_keys = keys_of(keys, pkcs11, token, key_version)
    with _card_to_change(desk_keys, reader, wait, desk, as_of, server) as held:
        held.desk.block(held.card, held.opened)
        _deny(held, city, "blocked at the desk")
        held.tell(as_json)


@app.command("retire")
def retire(
    keys: KeysOption = None,
    pkcs11: ModuleOption = None,
    token: TokenOption = "jolaqy",  # noqa: S107 - a label
    key_version: VersionOption = 1,
    city: CityOption = "",
    reader: ReaderOption = "",
    wait: PatienceOption = 60,
    desk: TerminalOption = "DESK",
    server: ServerOption = "",
    as_of: AsOfOption = "",
    as_json: JsonOption = False,
) -> None:
    """End a card's life: empty its purse, say what is to be paid back, and put it on the city's deny list.

    Example: jolaqy-bench card retire --keys keys.json --city almaty --server http://127.0.0.1:8000
    """
    desk_keys = keys_of(keys, pkcs11, token, key_version)
    with _card_to_change(desk_keys, reader, wait, desk, as_of, server) as held:
        refund_minor = held.desk.retire(held.card, held.opened)
        _deny(held, city, "retired")
        held.tell(as_json, refund_minor=refund_minor)


@app.command("tell")
def tell(server: ServerOption = "") -> None:
    """Tell clearing what it could not be told before.

    Example: jolaqy-bench card tell --server http://127.0.0.1:8000
    """
    office = office_at(server)
    print(f"told: {office.tell_what_waits()}")


@dataclass(frozen=True)
class _Held:
    """A card on the reader that is about to be changed.

    Attributes:
        token: stands for it, hexadecimal.
        office: is told what became of it.
    """

    desk: CardDesk
    card: Card
    opened: DeskCard
    token: str
    office: ClearingOffice
    now_s: Callable[[], int]

    def tell(self, as_json: bool, **more: int) -> None:
        """Say what is on it now."""
        tell_card(self.opened, bytes.fromhex(self.token), as_json, **more)


@contextmanager
def _card_to_change(
    keys: DeskKeys, reader: str, patience_s: float, desk: str, as_of: str, server: str
) -> Iterator[_Held]:
    """Wait for a card of ours and open it; it is given the keys of today, if it has those before."""
    office = office_at(server)
    with at_desk(keys, reader, patience_s, desk, as_of) as at, at.card() as card:
        opened, token = at.desk.open(card, renews=True)
        yield _Held(at.desk, card, opened, token.hex(), office, at.now_s)


def _deny(held: _Held, city: str, reason: str) -> None:
    _tell_office(held.office, "/v1/lists/deny", {"city": city, "tokens": [held.token], "reason": reason})


def _tell_office(office: ClearingOffice, path: str, body: dict[str, object]) -> None:
    why_not = office.tell(path, body)
    if why_not:
        say(f"The card is done, clearing was not told: {why_not}")
        say("It waits; tell it when it can be reached: jolaqy-bench card tell")
