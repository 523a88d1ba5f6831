"""`jolaqy-bench card issue`: blank cards become ours, one after the other."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hardware.batch import BEGUN, ISSUED, REGISTERED, REJECTED, Batch, Entry
from hardware.card_desk import Order
from hardware.card_reader import CardGone
from hardware.desk_options import (
    AsOfOption,
    AtDesk,
    CityOption,
    JsonOption,
    KeysOption,
    MakerOption,
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
from hardware.desk_words import clock_of, last_second, minor, say
from hardware.problem import EXIT_USAGE, Problem

if TYPE_CHECKING:
    from hardware.card_reader import Card
    from hardware.clearing_office import ClearingOffice


def issue(
    keys: KeysOption = None,
    pkcs11: ModuleOption = None,
    token: TokenOption = "jolaqy",  # noqa: S107 - a label
    key_version: VersionOption = 1,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many cards.")] = 1,
    city: CityOption = "",
    city_number: Annotated[
        int, typer.Option(min=0, max=65535, help="Instead of --city where there is no --server.")
    ] = 0,
    category: Annotated[int, typer.Option(min=1, max=65535, help="Rider category; 1 is adult.")] = 1,
    expires: Annotated[str, typer.Option(metavar="DAY", help="Last day, YYYY-MM-DD; default: five years.")] = "",
    purse: Annotated[str, typer.Option(metavar="TENGE", help="First purse.")] = "0",
    batch: Annotated[
        Path, typer.Option(metavar="FILE", help="State of the batch; with it, it goes on where it stopped.")
    ] = Path("batch.jsonl"),
    maker_key: MakerOption = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What became of each card: CSV, or JSON by its name.")
    ] = None,
    reader: ReaderOption = "",
    wait: PatienceOption = 60,
    desk: TerminalOption = "DESK",
    server: ServerOption = "",
    as_of: AsOfOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make blank cards ours, one after the other, until there are COUNT of them; stopped, it goes on with the same command.

    A card that is not blank is put aside and not counted. With --server each card is told to clearing, so that it rides.

    Example: jolaqy-bench card issue --keys keys.json --city almaty --server http://127.0.0.1:8000 --count 50 --batch monday.jsonl
    """
    desk_keys = keys_of(keys, pkcs11, token, key_version)
    office = office_at(server) if server else None
    number, until_s = _city_number(office, city, city_number), last_second(expires, clock_of(as_of)())
    order = Order(number, category, until_s, minor(purse))
    with at_desk(desk_keys, reader, wait, desk, as_of, maker_key) as at:
        work = Batch(batch, batch.stem, order)
        try:
            _issue_all(at, work, office, city, count)
        finally:
            work.close()
            if report is not None:
                work.write_report(report)
    _tell_batch(work, as_json)


def _issue_all(at: AtDesk, work: Batch, office: ClearingOffice | None, city: str, count: int) -> None:
    _register(at, work, office, city)
    while len(work.issued) < count:
        say(f"card {len(work.issued) + 1} of {count}: put a blank card on the reader")
        try:
            with at.card() as card:
                _issue_one(at, card, work)
        except CardGone as gone:
            say(f"  {gone}: {gone.remedy}")
        _register(at, work, office, city)
        if len(work.issued) < count:
            at.reader.wait_until_empty(at.patience_s)


def _issue_one(at: AtDesk, card: Card, work: Batch) -> None:
    chip = at.desk.chip_name(card)
    known = work.entries.get(chip)
    if known is not None and known.state != BEGUN:
        say("  this one has been on the reader already: put another one there")
        return
    work.note(Entry(chip, BEGUN, at.now_s()))
    started = time.monotonic()
    try:
        issued = at.desk.issue(card, work.order, was_begun=known is not None)
    except CardGone:
        raise
    except Problem as problem:
        work.note(Entry(chip, REJECTED, at.now_s(), reason=str(problem)))
        say(f"  {problem}: {problem.remedy}")
        return
    seconds = round(time.monotonic() - started, 3)
    work.note(Entry(chip, ISSUED, at.now_s(), issued.token.hex(), issued.masked_uid.hex(), seconds))
    say(f"  issued in {seconds} s; take it away")


def _register(at: AtDesk, work: Batch, office: ClearingOffice | None, city: str) -> None:
    """Tell clearing of the cards that it does not know yet; what it is not told now it is told when the batch goes on."""
    for entry in work.unregistered if office is not None else ():
        why_not = _tell_purse(office, entry, work.order.balance_minor, city)
        if why_not:
            say(f"  clearing was not told: {why_not}")
            return
        work.note(Entry(entry.chip, REGISTERED, at.now_s(), entry.token, entry.masked_uid, entry.seconds))


def _tell_purse(office: ClearingOffice | None, entry: Entry, balance_minor: int, city: str) -> str:
    """Tell clearing what the card was sold with; a repetition says the same, so it counts once."""
    if office is None or not balance_minor:
        return ""
    sold = {"reference": f"issue-{entry.token}", "token": entry.token, "amount_minor": balance_minor}
    return office.try_to_tell("/v1/top-ups", {**sold, "at_s": entry.at_s, "city": city})


def _tell_batch(work: Batch, as_json: bool) -> None:
    states = [entry.state for entry in work.entries.values()]
    counts = {state: states.count(state) for state in (REGISTERED, ISSUED, REJECTED, BEGUN)}
    if as_json:
        print(json.dumps({"batch": work.name, **counts, "cards": work.rows()}, indent=2))
    else:
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        print(f"batch {work.name}: {told or 'nothing'}")


def _city_number(office: ClearingOffice | None, city: str, number: int) -> int:
    """Return a city's number, as the service or the option has it."""
    if office is not None and city:
        found: int = office.ask("/v1/network", city=city)["number"]
        return found
    if not number:
        raise Problem("no city is named", "give --city CODE with --server, or --city-number N without", EXIT_USAGE)
    return number
