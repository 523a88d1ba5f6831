"""What people write at the card desk and read there: amounts, days, what is on a card."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hardware.problem import EXIT_USAGE, Problem
from protocol.cards import card_layout as layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.cards.desfire_issue import DeskCard

_aside = Console(stderr=True, soft_wrap=True)
_STATUSES = {layout.STATUS_IN_USE: "in use", layout.STATUS_BLOCKED: "blocked", layout.STATUS_RETIRED: "retired"}
_EVENTS = {
    layout.EVENT_ISSUED: "issued",
    layout.EVENT_PURSE: "ride, purse",
    layout.EVENT_PASS: "ride, pass",
    layout.EVENT_ACCOUNT: "ride, account",
    layout.EVENT_TRIP: "ride, counted pass",
    layout.EVENT_TOP_UP: "top-up",
    layout.EVENT_PASS_SOLD: "pass sold",
    layout.EVENT_STATUS: "status changed",
}


def minor(text: str) -> int:
    try:
        amount = Decimal(text) * 100
    except InvalidOperation:
        amount = Decimal(-1)
    if amount < 0 or amount != amount.to_integral_value():
        raise Problem(f"no amount: {text}", "write it in tenge: 1000 or 1000.50", EXIT_USAGE)
    return int(amount)


def last_second(day: str, today_s: int) -> int:
    """Return the end of a card's last day, UTC; by default that of the year five years from today."""
    try:
        last = date.fromisoformat(day) if day else date(datetime.fromtimestamp(today_s, UTC).year + 5, 12, 31)
    except ValueError:
        raise Problem(f"not a day: {day}", "write it as 2030-12-31", EXIT_USAGE) from None
    return int(datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=UTC).timestamp())


def clock_of(as_of: str) -> Callable[[], int]:
    """Return what tells the time, unix seconds: the machine's clock, or one that stands still at a moment."""
    if not as_of:
        return lambda: int(time.time())
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        raise Problem(f"no moment: {as_of}", "write it as 2030-12-31T08:00", EXIT_USAGE) from None
    stands_at_s = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return lambda: stands_at_s


def day_of(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).date().isoformat()


def in_tenge(amount_minor: int) -> str:
    return f"{amount_minor / 100:,.2f}".replace(",", " ")


def say(line: str) -> None:
    _aside.print(line, highlight=False)


def tell_card(opened: DeskCard, token: bytes, as_json: bool, **more: int) -> None:
    environment = opened.environment
    told: dict[str, Any] = {
        "token": token.hex(),
        "status": _STATUSES.get(environment.status, "unknown"),
        "city": environment.city,
        "category": environment.category,
        "expires_s": environment.expires_s,
        "balance_minor": opened.balance_minor,
        "counter": opened.counter,
        "passes": [_pass_of(opened, slot) for slot, sold in enumerate(environment.passes) if sold.product],
        "events": [
            {
                "kind": _EVENTS.get(event.kind, "unknown"),
                "at_s": event.at_s,
                "amount_minor": event.amount_minor,
                "balance_minor": event.balance_minor,
                "counter": event.counter,
            }
            for event in opened.events
        ],
        **more,
    }
    if as_json:
        print(json.dumps(told, indent=2))
        return
    print(f"card {told['token']}: {told['status']}, category {told['category']}, until {day_of(environment.expires_s)}")
    print(f"purse {in_tenge(opened.balance_minor)} ₸ after {opened.counter} transactions")
    for name, amount_minor in more.items():
        print(f"{name.removesuffix('_minor')}: {in_tenge(amount_minor)} ₸")
    for event in told["events"]:
        print(f"  {day_of(event['at_s'])}  {event['kind']:20} {in_tenge(event['amount_minor']):>12} ₸")


def _pass_of(opened: DeskCard, slot: int) -> dict[str, int]:
    sold = opened.environment.passes[slot]
    return {
        "slot": slot,
        "product": sold.product,
        "valid_from_s": sold.valid_from_s,
        "valid_until_s": sold.valid_until_s,
        "trips": opened.trips[slot],
    }
