"""When a debt is tried again: so many tries within so many days, far apart at the end (`debt` of the package's acquirer). Pure.

A try is made when its time in the plan has come, or sooner when the rider holds the denied card before a validator again: then
there may be money on it. Tries are counted whatever caused them.
"""

from __future__ import annotations

from clearing.network.parties import Debt

_DAY_MS = 86_400_000
# Who holds a denied card before every reader of the bus has not put money on it in between.
PAUSE_MS = 3_600_000

MERCHANT = "merchant"
TAP = "tap"


def planned_ms(debt: Debt, declined_at_ms: int, tries: int) -> int | None:
    """When the next try is due after so many; nothing when there is none left.

    The gaps grow: of 6 in 14 days the first comes after 15 hours, the last when 13 days have passed, so that whoever looks
    once a day still makes it in time.
    """
    if tries >= debt.tries:
        return None
    number = tries + 1
    span_ms = max(debt.within_days - 1, 0) * _DAY_MS
    return declined_at_ms + span_ms * number * (number + 1) // (debt.tries * (debt.tries + 1))


def is_over(debt: Debt, declined_at_ms: int, tries: int, now_ms: int) -> bool:
    """Whether nothing more is tried: no try is left, or the days have passed."""
    return tries >= debt.tries or now_ms > declined_at_ms + debt.within_days * _DAY_MS


def may_try(debt: Debt, declined_at_ms: int, tries: int, last_ms: int, now_ms: int, *, tapped: bool) -> str | None:
    """What causes a try now: `merchant` for the plan, `tap` for the rider's next tap; nothing when it is not time."""
    planned = planned_ms(debt, declined_at_ms, tries)
    if planned is None or is_over(debt, declined_at_ms, tries, now_ms):
        return None
    if now_ms >= planned:
        return MERCHANT
    return TAP if tapped and now_ms >= last_ms + PAUSE_MS else None
