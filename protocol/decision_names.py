"""Names of the decision codes, for people and programs; a validator needs only the numbers."""

from __future__ import annotations

DECISION_NAMES = {
    0: "accepted",
    1: "insufficient_funds",
    2: "denied",
    3: "expired",
    4: "unknown_medium",
    5: "bad_authentication",
    6: "already_tapped",
    7: "torn",
    8: "not_in_fare_table",
    9: "fare_table_too_old",
    10: "qr_unreadable",
    11: "qr_wrong_code",
    12: "qr_stale",
    13: "journal_full",
    14: "two_media",
    15: "committed",
    16: "not_committed",
    17: "outcome_unknown",
    18: "free_ride_journal_full",
    19: "medium_fault",
    20: "qr_already_used",
}
