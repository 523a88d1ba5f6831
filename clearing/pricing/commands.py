"""Commands of pricing: `jolaqy tariff try NEW.toml`, `jolaqy fare why KEY`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from clearing.cli import (
    EXIT_NOTHING_FOUND,
    EXIT_USAGE,
    AsOfOption,
    CityOption,
    JsonOption,
    day_argument,
    fail,
    note,
    open_office,
    print_json,
    print_rows,
)
from clearing.money import format_minor
from clearing.network.tariff_rules import LANGUAGES
from clearing.pricing.proposal import PROPOSAL_BYTES_MAX, read_proposal
from clearing.pricing.what_if import Trial, side_as_dict, trial_as_dict, try_tariff
from clearing.pricing.why import why

tariffs = typer.Typer(help="Tariffs.", no_args_is_help=True)
fares = typer.Typer(help="Cleared rides.", no_args_is_help=True)


@tariffs.command("try")
def try_command(
    new: Annotated[Path, typer.Argument(help="A tariffs.toml as a city package has it.", metavar="NEW.toml")],
    first_day: Annotated[str, typer.Option("--from", help="First service day, YYYY-MM-DD.")],
    last_day: Annotated[str, typer.Option("--to", help="Last service day, YYYY-MM-DD.")],
    city: CityOption = "almaty",
    dated: Annotated[
        bool, typer.Option("--dated", help="Each day has the tariff of its date; otherwise the newest counts.")
    ] = False,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Price past rides again under a proposed tariff: revenue, cashless share, winners and losers. The books stay as they are.

    Example: jolaqy tariff try new.toml --from 2024-05-01 --to 2024-05-31
    """
    days = day_argument(first_day, "--from"), day_argument(last_day, "--to")
    text = _text_of(new)
    with open_office(as_of) as office, office.database.reading() as session:
        proposal = read_proposal(session, city, text)
        trial = try_tariff(session, city, proposal, days, dated=dated, progress=_Telling(quiet=as_json))
    if not trial.before.trips:
        fail(f"there are no rides from {days[0]} to {days[1]} in {city}", "name other days", EXIT_NOTHING_FOUND)
    if as_json:
        print_json(trial_as_dict(trial))
    else:
        _print(trial)


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > PROPOSAL_BYTES_MAX:
            fail(f"{path} is over {PROPOSAL_BYTES_MAX} bytes", "see that it is the right file", EXIT_USAGE)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}", "name a tariffs.toml", EXIT_USAGE)
    except UnicodeDecodeError:
        fail(f"{path} is not UTF-8", "save it as UTF-8", EXIT_USAGE)


class _Telling:
    """Says each further tenth that is done of long work."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._tenths = 0

    def __call__(self, done: int, total: int) -> None:
        tenths = 10 * done // max(1, total)
        if tenths > self._tenths and not self._quiet:
            note(f"{done} of {total} records …")
        self._tenths = max(tenths, self._tenths)


def _print(trial: Trial) -> None:
    sides = ((side_as_dict(trial.before), "now"), (side_as_dict(trial.after), "proposed"))
    print_rows(
        f"{trial.city}, {trial.first_day} to {trial.last_day}: {trial.source}",
        ["tariff", "rides", "revenue ₸", "concessions ₸", "cashless % of trips", "cashless % of revenue"],
        [
            [
                name,
                side["trips"],
                format_minor(side["revenue_minor"]),
                format_minor(side["subsidy_minor"]),
                side["cashless_share_trips_percent"],
                side["cashless_share_revenue_percent"],
            ]
            for side, name in sides
        ],
    )
    print_rows(
        "Who would pay less, and who more",
        ["category", "rides", "media", "less", "less ₸", "most ₸", "more", "more ₸", "most ₸"],
        [
            [
                each.category,
                each.trips,
                each.media,
                each.winners,
                format_minor(each.winners_minor),
                format_minor(each.largest_win_minor),
                each.losers,
                format_minor(each.losers_minor),
                format_minor(each.largest_loss_minor),
            ]
            for each in trial.outcomes
        ],
    )
    print(f"difference: {format_minor(trial.difference_minor)} ₸")
    if trial.trips_not_taken:
        print(f"{trial.trips_not_taken} rides are not priced by the proposal, and are in as they were")


@fares.command("why")
def why_command(
    key: Annotated[str, typer.Argument(help="Key of a fare, such as tap/DEVICE/EPOCH/SEQUENCE.")],
    language: Annotated[str, typer.Option(help="kk, ru or en.")] = "en",
    as_json: JsonOption = False,
) -> None:
    """Say why a ride costs what it costs.

    Example: jolaqy fare why sms/local/S-1 --language kk
    """
    if language not in LANGUAGES:
        fail(f"there is no language {language}", f"languages: {', '.join(LANGUAGES)}", EXIT_USAGE)
    with open_office() as office, office.database.reading() as session:
        found = why(session, key, language)
    if as_json:
        print_json(asdict(found))
        return
    print("\n".join(found.sentences))
    if len(found.journey) > 1:
        rows = [
            [ride.key, ride.vehicle, ride.line, format_minor(ride.charged_minor), ride.rule] for ride in found.journey
        ]
        print_rows("Its journey", ["ride", "vehicle", "line", "charged ₸", "rule"], rows)


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(tariffs, name="tariff")
    app.add_typer(fares, name="fare")
