"""Commands of statistics: `jolaqy share`."""

from __future__ import annotations

from datetime import date, timedelta
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
    open_office,
    print_json,
    print_rows,
)
from clearing.money import format_minor
from clearing.network.service import city_of
from clearing.network.service_day import service_day
from clearing.statistics.api import share_as_dict
from clearing.statistics.service import cashless_shares, last_day_with_rides

_PERIOD_DAYS = 30


def share_command(
    city: CityOption = "almaty",
    first_day: Annotated[str, typer.Option("--from", metavar="DAY", help="First day.")] = "",
    last_day: Annotated[str, typer.Option("--to", metavar="DAY", help="Last day.")] = "",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Print the cashless share by day: 30 days up to the last one with rides, or a period.

    Example: jolaqy share --from 2024-05-01 --to 2024-05-31
    """
    with open_office(as_of) as office, office.database.reading() as session:
        today = service_day(city_of(session, city).zone, office.clock.now_ms() // 1000)
        last = day_argument(last_day, "--to") if last_day else last_day_with_rides(session, city, today) or today
        first = day_argument(first_day, "--from") if first_day else _begin_of_period(last)
        if first > last:
            fail(f"the period ends before it begins: {first} to {last}", "swap --from and --to", EXIT_USAGE)
        shares = cashless_shares(session, city, first, last)
    if as_json:
        print_json({"city": city, "from": first, "to": last, "days": [share_as_dict(share) for share in shares]})
    elif shares:
        print_rows(
            f"Cashless share of {city}",
            ["day", "rides", "cashless", "by trips %", "fares ₸", "by revenue %", "closed"],
            [
                [
                    share.day,
                    share.trips,
                    share.trips_cashless,
                    share.share_trips_percent,
                    format_minor(share.revenue_minor),
                    share.share_revenue_percent,
                    "yes" if share.closed else "open",
                ]
                for share in shares
            ],
        )
    if not shares:
        fail(
            f"no rides in {city} from {first} to {last}",
            "choose another period with --from and --to",
            EXIT_NOTHING_FOUND,
        )


def _begin_of_period(last_day: str) -> str:
    return (date.fromisoformat(last_day) - timedelta(days=_PERIOD_DAYS - 1)).isoformat()


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.command("share")(share_command)
