"""`jolaqy-bench card …`: the card desk on the command line."""

from __future__ import annotations

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
    from hardware.clearing_office import ClearingOffice

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
    office = office_at(server)
    with at_desk(keys_of(keys, pkcs11, token, key_version), reader, wait, desk, as_of) as at, at.card() as card:
        opened, of_card = at.desk.open(card, renews=True)
        at.desk.top_up(card, opened, amount_minor)
        order = {
            "reference": f"desk-{of_card.hex()}-{opened.counter}",
            "token": of_card.hex(),
            "amount_minor": amount_minor,
        }
        _tell_office(office, "/v1/top-ups", {**order, "at_s": at.now_s(), "city": city})
        tell_card(opened, of_card, as_json)


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
    office = office_at(server)
    with at_desk(keys_of(keys, pkcs11, token, key_version), reader, wait, desk, as_of) as at, at.card() as card:
        opened, of_card = at.desk.open(card, renews=True)
        at.desk.block(card, opened)
        _tell_office(
            office, "/v1/lists/deny", {"city": city, "tokens": [of_card.hex()], "reason": "blocked at the desk"}
        )
        tell_card(opened, of_card, as_json)


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
    office = office_at(server)
    with at_desk(keys_of(keys, pkcs11, token, key_version), reader, wait, desk, as_of) as at, at.card() as card:
        opened, of_card = at.desk.open(card, renews=True)
        refund_minor = at.desk.retire(card, opened)
        _tell_office(office, "/v1/lists/deny", {"city": city, "tokens": [of_card.hex()], "reason": "retired"})
        tell_card(opened, of_card, as_json, refund_minor=refund_minor)


@app.command("tell")
def tell(server: ServerOption = "") -> None:
    """Tell clearing what it could not be told before.

    Example: jolaqy-bench card tell --server http://127.0.0.1:8000
    """
    office = office_at(server)
    print(f"told: {office.tell_what_waits()}")


def _tell_office(office: ClearingOffice, path: str, body: dict[str, object]) -> None:
    why_not = office.tell(path, body)
    if why_not:
        say(f"The card is done, clearing was not told: {why_not}")
        say("It waits; tell it when it can be reached: jolaqy-bench card tell")
