"""`jolaqy city load`: a package into the database, with everything that is signed anew when it changes."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.cli import AsOfOption, JsonOption, local_or_fail, open_office, print_json
from clearing.fleet.card_authorities import renew_card_authorities
from clearing.fleet.documents import issue_fare_tables
from clearing.fleet.key_commands import fail_waiting, keys_or_fail
from clearing.fleet.key_sets import keep_key_set
from clearing.fleet.keys import KeyStore
from clearing.media.service import issue_lists
from clearing.network.commands import cities, package_or_fail, print_changes
from clearing.network.loading import bring_in
from clearing.network.models import City
from clearing.network.package_argument import PackageArgument
from clearing.network.service import lock_city
from clearing.settlement.models import Close


def keep_signed(session: Session, keys: KeyStore, city: str, now_ms: int) -> None:
    """Sign what the validators of a city need, where it has changed or grows old."""
    keep_key_set(session, keys, city, now_ms)
    issue_fare_tables(session, keys, city, now_ms)
    issue_lists(session, keys, city, now_ms)
    renew_card_authorities(session, keys, city, now_ms)


def last_closed_day(session: Session, city: str) -> str | None:
    """The last service day that is closed."""
    return session.scalar(select(func.max(Close.service_day)).where(Close.city == city))


@cities.command("load")
def load_command(package: PackageArgument, as_json: JsonOption = False, as_of: AsOfOption = "") -> None:
    """Load a package. What it changes of money needs two persons: the first call asks, the one after approval does it.

    Days that are closed are not touched: a package that would change their money is refused.

    Example: jolaqy city load shymkent
    """
    read = package_or_fail(package)
    with open_office(as_of) as office:
        store, now_ms = keys_or_fail(office), office.clock.now_ms()
        with office.database.writing() as session:
            caller = local_or_fail(session)
            if session.get(City, read.code) is not None:
                # Held until the end, so that no day is closed meanwhile.
                lock_city(session, read.code)
            loading = bring_in(session, caller, read, now_ms, last_closed_day(session, read.code))
            if loading.is_loaded:
                keep_signed(session, store, read.code, now_ms)
    if as_json:
        print_json({"code": read.code, **asdict(loading)})
    else:
        print_changes(read.code, loading.changes)
    if loading.waits_for_approval is not None:
        fail_waiting(loading.waits_for_approval)
    if not as_json:
        print(f"{read.code}: loaded" if loading.is_loaded else f"{read.code}: was there already")
