"""`jolaqy-bench tap` and `jolaqy-bench accept`: a technician's reader as a validator, and as a rider's card."""

from __future__ import annotations

import json
import time
from pathlib import Path  # noqa: TC003 - typer reads annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hardware.acceptance import CUT_OFF, NOT_NOTICED, PlayedCard, PlayedTap, summary, write_sheet
from hardware.bench_rules import read_rules
from hardware.desk_options import (
    AsOfOption,
    JsonOption,
    KeysOption,
    ModuleOption,
    PatienceOption,
    ServerOption,
    TokenOption,
    VersionOption,
    keys_of,
)
from hardware.desk_words import clock_of, in_tenge, say
from hardware.nfc_reader import open_reader, play_card, wait_for_card
from hardware.problem import EXIT_CHECK_FAILED, EXIT_NOTHING_FOUND, EXIT_USAGE, Problem
from hardware.tap_bench import TapBench, Verdict
from protocol.decision_names import DECISION_NAMES
from protocol.decisions import DECISION_ACCEPTED
from simulator.card_images import ImagesDamaged, read_card_images
from simulator.sample_cards import sample_mastercard, sample_transit_card, sample_visa_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.virtual_card import VirtualCard

DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="nfcpy's name of the reader, or the whole path of its serial port."),
]
_PLAYED: dict[str, Callable[[], VirtualCard]] = {
    "visa": sample_visa_card,
    "mastercard": sample_mastercard,
    "transit": sample_transit_card,
}
_BETWEEN_S = 0.5


def tap(
    device: DeviceOption = "usb",
    keys: KeysOption = None,
    pkcs11: ModuleOption = None,
    token: TokenOption = "jolaqy",  # noqa: S107 - a label
    key_version: VersionOption = 1,
    city_number: Annotated[int, typer.Option(min=1, max=65535, help="Number of the city.")] = 1,
    fare_table: Annotated[
        str, typer.Option(metavar="FILE|NUMBER", help="As validators are sent it; a number is fetched.")
    ] = "",
    deny_list: Annotated[str, typer.Option(metavar="FILE|NUMBER", help="The same; without one nobody is denied.")] = "",
    line: Annotated[int | None, typer.Option(min=0, help="On which line the ride would be.")] = None,
    stop: Annotated[int | None, typer.Option(min=0, help="At which stop: passes for zones need it.")] = None,
    wait: PatienceOption = 30,
    server: ServerOption = "",
    as_of: AsOfOption = "",
    as_json: JsonOption = False,
) -> None:
    """Read a rider's card with a technician's reader and say what a validator would decide. Nothing is taken, nothing written.

    Exit code 4: it would be refused.

    Example: jolaqy-bench tap --device tty:USB0:pn532 --keys keys.json --fare-table 3 --server http://127.0.0.1:8000 --line 12
    """
    desk_keys = keys_of(keys, pkcs11, token, key_version)
    rules = read_rules(fare_table, deny_list, server)
    bench = TapBench(desk_keys, rules, city_number, clock_of(as_of)(), line, stop)
    with open_reader(device) as front:
        say("hold a card to the reader")
        card = wait_for_card(front, wait)
        started = time.monotonic()
        verdict = bench.judge(card)
        read_ms = round(1000 * (time.monotonic() - started))
    _tell_verdict(verdict, read_ms, as_json)
    if verdict.code != DECISION_ACCEPTED:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _tell_verdict(verdict: Verdict, read_ms: int, as_json: bool) -> None:
    told: dict[str, Any] = {
        "medium": verdict.medium,
        "decision": DECISION_NAMES[verdict.code],
        "fare_minor": verdict.fare_minor,
        "balance_minor": verdict.balance_minor,
        "token": None if verdict.token is None else verdict.token.hex(),
        "unchecked": list(verdict.unchecked),
        "read_ms": read_ms,
    }
    if as_json:
        print(json.dumps(told, indent=2))
        return
    print(
        f"{told['medium'].replace('_', ' ')}: {told['decision'].replace('_', ' ')}, fare {in_tenge(verdict.fare_minor)} ₸"
    )
    if verdict.balance_minor is not None:
        print(f"purse {in_tenge(verdict.balance_minor)} ₸")
    if verdict.unchecked:
        print(f"not checked on a bench: {', '.join(verdict.unchecked)}")
    print(f"read in {read_ms} ms")


def accept(
    device: DeviceOption = "usb",
    kind: Annotated[
        str, typer.Option("--play", metavar="KIND", help=f"Which test card: {', '.join(_PLAYED)}.")
    ] = "visa",
    card_file: Annotated[
        Path | None,
        typer.Option("--card", metavar="FILE", help="Or a transport card that a desk has issued (an image)."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many taps.")] = 10,
    wait: PatienceOption = 30,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The result sheet: CSV, or JSON by its name.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a technician's reader play a test card to a mounted validator, COUNT times, and note times and outcomes.

    A PN532 plays cards with UIDs of 4 bytes only, so a bank card; a transport card needs a reader that plays its 7 bytes.

    Exit code 4: a tap was cut off, or not noticed.

    Example: jolaqy-bench accept --device tty:USB0:pn532 --play visa --count 10 --sheet bus-101.csv
    """
    card = PlayedCard(_card_to_play(kind, card_file))
    taps: list[PlayedTap] = []
    with open_reader(device) as front:
        for number in range(1, count + 1):
            say(f"tap {number} of {count}: hold the reader to the validator")
            card.begin()
            held_s = play_card(front, card, wait)
            outcome = NOT_NOTICED if held_s is None else card.outcome()
            taps.append(PlayedTap(number, outcome, len(card.asked), round(1000 * (held_s or 0))))
            say(f"  {outcome}, {taps[-1].commands} commands in {taps[-1].ms} ms; take it away")
            time.sleep(_BETWEEN_S)
    if sheet is not None:
        write_sheet(sheet, taps)
    told = summary(taps)
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items()))
    if any(each.outcome == NOT_NOTICED for each in taps):
        raise Problem(
            "the validator did not notice the card each time",
            "check its power, its antenna, and the distance",
            EXIT_CHECK_FAILED,
        )
    if any(each.outcome == CUT_OFF for each in taps):
        raise Problem("a tap was cut off", "hold the reader still until the validator answers", EXIT_CHECK_FAILED)


def _card_to_play(kind: str, card_file: Path | None) -> VirtualCard:
    if card_file is None:
        if kind not in _PLAYED:
            raise Problem(f"no test card {kind}", f"choose one of {', '.join(_PLAYED)}", EXIT_USAGE)
        return _PLAYED[kind]()
    try:
        return read_card_images(card_file)[0]
    except (OSError, ImagesDamaged, IndexError):
        raise Problem(f"no card in {card_file}", "name a file of jolaqy-sim card --keep", EXIT_NOTHING_FOUND) from None
