"""Probable causes of breaks, by code: what has happened, and what to do about it. Every cause that is ever given stands here."""

from __future__ import annotations

CAUSES = {
    "ambiguous": (
        "the line has no reference, and several payments are of its amount",
        "ask the counterparty which one it is",
    ),
    "amount_differs": (
        "the statement has another amount than the payment",
        "ask for the payment's record; adjust by the difference",
    ),
    "applied_not_on_card": (
        "the card has signed a top-up, and its balance does not show it",
        "look at the card at a desk",
    ),
    "bank_debit_unknown": ("money went out of the account, and no payout says so", "ask the bank at once"),
    "declined_though_paid": (
        "we hold it paid, the counterparty declined it",
        "the rider has ridden unpaid: adjust, or recover the debt",
    ),
    "left_out": (
        "the counterparty has told of that day, and not of this payment",
        "ask for it; it may come with a later statement",
    ),
    "loaded_not_sold": (
        "a card has more on it than anybody says to have sold",
        "look for an agent's register that did not come",
    ),
    "no_reference": ("the line has no reference, and nothing is of its amount", "ask the counterparty what it is"),
    "not_banked": ("cash was counted and has not come to the bank", "ask the carrier for the bank's receipt"),
    "not_counted": ("cash was taken by the driver's button and nobody has counted it", "ask the carrier for the count"),
    "not_remitted": (
        "the party has not paid what it took from riders",
        "remind it; the contract says what lateness costs",
    ),
    "overdue": ("no statement has come for it, and the money is overdue", "ask for the statement"),
    "overpaid": (
        "more has come than was taken from riders",
        "find out for which payments; some may not have reached us",
    ),
    "paid_not_loaded": (
        "money was paid for a card, and the card's balance lacks it",
        "load it, or give the money back",
    ),
    "payer_unknown": (
        "money came to the bank from an account that no party has",
        "find the payer; book it by an adjustment",
    ),
    "reference_reused": (
        "one reference stands for two payments",
        "ask which is right; the other has no ride behind it",
    ),
    "reference_unknown": (
        "it was settled, and we know of no such payment",
        "its notification may be lost: ask for it, or give it back",
    ),
    "refund_differs": ("more or less was given back than was taken", "ask for the refund's record"),
    "refund_missing": ("we hold it given back, the statement has only the payment", "see that the rider has the money"),
    "refund_not_told": (
        "the counterparty gave it back and did not say so",
        "take the ride out of the day by its refund message",
    ),
    "settled_though_refused": ("we refused it, and it was charged all the same", "have it given back to the rider"),
    "settled_though_unknown": (
        "its outcome never came, and it was settled",
        "ask for the outcome; then it matches by itself",
    ),
    "settled_twice": ("one payment was settled twice", "have one of them taken back, before the rider notices"),
    "state_unknown": (
        "the adapter does not know the state that the line has",
        "add the word to the adapter, and import anew",
    ),
    "till_short": (
        "less was counted than the driver's button says",
        "ask the carrier; it makes it good, or an adjustment does",
    ),
    "till_surplus": (
        "more was counted than the driver's button says",
        "rides may have been sold without the button: see the bus",
    ),
    "two_states": (
        "one payment was declined and settled in the same breath",
        "ask which is right; money moved by the settled one",
    ),
    "waits_though_seen": (
        "a card was held before validators since, and its money still waits",
        "look at the validators' network",
    ),
}


def meaning(cause: str) -> str:
    """What has probably happened."""
    return CAUSES[cause][0]


def remedy(cause: str) -> str:
    """What to do about it."""
    return CAUSES[cause][1]
