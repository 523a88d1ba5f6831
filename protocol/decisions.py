"""Decision codes: why a tap was accepted or refused, the same number on the bus, on the wire and in the back office."""

from __future__ import annotations

from protocol.compat import const

DECISION_ACCEPTED = const(0)
DECISION_INSUFFICIENT_FUNDS = const(1)
DECISION_DENIED = const(2)
DECISION_EXPIRED = const(3)
DECISION_UNKNOWN_MEDIUM = const(4)
DECISION_BAD_AUTHENTICATION = const(5)
DECISION_ALREADY_TAPPED = const(6)
DECISION_TORN = const(7)
DECISION_NOT_IN_FARE_TABLE = const(8)
DECISION_FARE_TABLE_TOO_OLD = const(9)
DECISION_QR_UNREADABLE = const(10)
DECISION_QR_WRONG_CODE = const(11)
DECISION_QR_STALE = const(12)
DECISION_JOURNAL_FULL = const(13)
DECISION_TWO_MEDIA = const(14)
DECISION_COMMITTED = const(15)
DECISION_NOT_COMMITTED = const(16)
DECISION_OUTCOME_UNKNOWN = const(17)
DECISION_FREE_RIDE_JOURNAL_FULL = const(18)
DECISION_MEDIUM_FAULT = const(19)
DECISION_QR_ALREADY_USED = const(20)
