"""Which counterparty of the city package a message or a ride belongs to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from clearing.network.parties import Operator, Parties


def counterparty(codes: Sequence[str], name: str) -> str:
    """The party that sends under this name: the one of that code, or the only one there is; empty where nobody can say."""
    if name in codes:
        return name
    return codes[0] if len(codes) == 1 else ""


def party_of_ride(parties: Parties, medium: str, sender: str) -> str:
    """The code of the counterparty that owes a ride's fare; `sender` is who told of it, by name, and empty for a tap."""
    if parties.acquirer is not None and medium in parties.acquirer.media:
        return parties.acquirer.code
    if medium == "sms":
        return counterparty([party.code for party in parties.sms_aggregators], sender)
    return counterparty([party.code for party in parties.qr_providers if medium in party.media], sender)


def paying_operator(parties: Parties, carrier: str) -> Operator | None:
    """The fare operator that pays a carrier; where several clear its rides, the first that the package names."""
    return next((each for each in parties.operators if not each.carriers or carrier in each.carriers), None)
