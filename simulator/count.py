"""What became of a day: what was accepted, as seen beside the validators, against what the back office cleared.

Three witnesses that know nothing of each other: lights, displays and SMS replies; the back office; the purses of the cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from protocol.decision_names import DECISION_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.bus import Acceptance, Bus
    from simulator.counterparties.sms_aggregator import SmsAggregator
    from simulator.service import Service
    from simulator.top_up_app import TopUpApp
    from simulator.wallet import Wallet

_FARES_A_PAGE = 5000
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Witnesses:
    """Who was there.

    Attributes:
        buses: with what was seen of their validators.
        wallets: with the cards and their purses.
        aggregator: with the replies to SMS.
        app: by which money was paid in for cards, to be loaded on buses.
    """

    buses: Sequence[Bus]
    wallets: Sequence[Wallet]
    aggregator: SmsAggregator
    app: TopUpApp


def count_day(service: Service, city: str, day: str, witnesses: Witnesses) -> dict[str, Any]:
    """Close the day and return what became of it, field by field as the README names them."""
    close = service.post("/v1/closes", {"city": city, "day": day})
    share = service.get("/v1/share", city=city, **{"from": day, "to": day})["days"][0]
    balance = service.get("/v1/ledger/trial-balance", city=city)
    return {
        **_count_taps(service, _cleared_fares(service, city, day), witnesses.buses),
        "sms_sent": witnesses.aggregator.sent,
        "sms_paid": len(witnesses.aggregator.paid),
        "sms_posts": witnesses.aggregator.posts,
        "rides_by_medium": {row["medium"]: row["trips"] for row in close["media"]},
        "cashless_share_trips_percent": share["cashless_share_trips_percent"],
        "cashless_share_revenue_percent": share["cashless_share_revenue_percent"],
        "independent_count": _independent_count(witnesses),
        "purses_debited_minor": sum(
            sum(wallet.transit_card.committed_debits_minor)
            for wallet in witnesses.wallets
            if wallet.transit_card is not None
        ),
        **_count_top_ups(witnesses),
        "ledger_imbalance_minor": balance["imbalance_minor"],
        "ledger_faults": balance["faults"],
        "power_cuts": sum(bus.power_cuts for bus in witnesses.buses),
        "network": _sum_by_key([bus.network.counts for bus in witnesses.buses]),
        "close_sha256": close["sha256"],
    }


def _count_taps(service: Service, cleared: list[dict[str, Any]], buses: Sequence[Bus]) -> dict[str, Any]:
    accepted = _accepted_taps(service, buses)
    keys = [fare["source_key"] for fare in cleared if fare["source"] == "tap"]
    refused = _sum_by_key([bus.refused for bus in buses])
    return {
        "taps_presented": sum(bus.presented for bus in buses),
        "taps_accepted": len(accepted),
        "taps_refused": sum(refused.values()),
        "taps_cleared": len(keys),
        "taps_lost": len(set(accepted) - set(keys)),
        "taps_doubled": len(keys) - len(set(keys)) + len(set(keys) - set(accepted)),
        "taps_unsettled": sum(bus.unsettled for bus in buses),
        "refused_by_decision": {DECISION_NAMES[decision]: refused[decision] for decision in sorted(refused)},
        "card_proofs": _sum_by_key([{fare["card_proof"]: 1} for fare in cleared if fare["card_proof"]]),
        "fares_minor_by_medium": dict(
            sorted(_sum_by_key([{fare["medium"]: fare["charged_minor"]} for fare in cleared]).items())
        ),
    }


def _count_top_ups(witnesses: Witnesses) -> dict[str, int]:
    """Count money that was to be loaded on buses: what was paid in, and where it is by displays, cards and back office."""
    return {
        "top_ups_paid_in": len(witnesses.app.paid),
        "top_ups_paid_in_minor": sum(witnesses.app.paid.values()),
        "top_ups_shown_minor": sum(sum(bus.loaded.values()) for bus in witnesses.buses),
        "top_ups_on_cards_minor": sum(wallet.loaded_minor() for wallet in witnesses.wallets),
        "top_ups_applied_minor": witnesses.app.applied_minor(),
    }


def _accepted_taps(service: Service, buses: Sequence[Bus]) -> dict[str, Acceptance]:
    """Return every green light under the key that the back office gives its tap."""
    devices = {row["vehicle"]: row["device"] for row in service.get("/v1/validators")["validators"]}
    return {
        f"{bus.device or devices[bus.code]}/{epoch}/{sequence}": acceptance
        for bus in buses
        for (epoch, sequence), acceptance in bus.accepted.items()
    }


def _cleared_fares(service: Service, city: str, day: str) -> list[dict[str, Any]]:
    fares: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = service.get("/v1/fares", city=city, day=day, after=after, limit=_FARES_A_PAGE)
        fares += page["fares"]
        after = page["next_after"]
    return fares


def _independent_count(witnesses: Witnesses) -> dict[str, Any]:
    """Count rides and money from lights, displays and SMS replies alone."""
    rides = [acceptance for bus in witnesses.buses for acceptance in bus.accepted.values()]
    paid = witnesses.aggregator.paid
    trips = len(rides) + len(paid)
    revenue_minor = sum(ride.fare_minor for ride in rides) + sum(paid.values())
    cash = [ride.fare_minor for ride in rides if ride.medium == "cash"]
    return {
        "rides": trips,
        "revenue_minor": revenue_minor,
        "cashless_share_trips_percent": _percent(trips - len(cash), trips),
        "cashless_share_revenue_percent": _percent(revenue_minor - sum(cash), revenue_minor),
    }


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def _sum_by_key(counts: Sequence[dict[_Key, int]]) -> dict[_Key, int]:
    total: dict[_Key, int] = {}
    for each in counts:
        for key, count in each.items():
            total[key] = total.get(key, 0) + count
    return total


def faults_in(result: dict[str, Any]) -> list[str]:
    """Return what is wrong with a day, in words: nothing, if the promises were kept."""
    mine = result["independent_count"]
    checks = (
        ("taps were lost", result["taps_lost"] == 0),
        ("taps were cleared that nobody had accepted, or twice", result["taps_doubled"] == 0),
        ("the ledger does not balance", result["ledger_imbalance_minor"] == 0 and not result["ledger_faults"]),
        (
            "the share by trips is not what was counted on the street",
            result["cashless_share_trips_percent"] == mine["cashless_share_trips_percent"],
        ),
        (
            "the share by revenue is not what was counted on the street",
            result["cashless_share_revenue_percent"] == mine["cashless_share_revenue_percent"],
        ),
        (
            "the purses of the cards were debited of something else than was cleared",
            result["purses_debited_minor"] == result["fares_minor_by_medium"].get("transport_card", 0),
        ),
        (
            "the money that was loaded onto cards on buses is not what the back office knows of",
            result["top_ups_applied_minor"] == result["top_ups_on_cards_minor"] <= result["top_ups_paid_in_minor"],
        ),
        ("a ride is cleared that its card has not signed", result["card_proofs"].get("wrong", 0) == 0),
    )
    return [fault for fault, holds in checks if not holds]
