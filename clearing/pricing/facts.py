"""What pricing knows of one ride before it has a price. Pure."""

from __future__ import annotations

from typing import NamedTuple

from protocol.tap import CLOCK_HOLDOVER, CLOCK_INFORMATIVE, CLOCK_UNKNOWN

# A held-over clock drifts, an informative one was set by a hand or a phone; who knew nothing reported within a day, as a rule.
_DOUBT_HOLDOVER_S = 300
_DOUBT_INFORMATIVE_S = 30
_DOUBT_UNKNOWN_S = 86_400
_TAP = "tap"


class RideFacts(NamedTuple):
    """A ride as a validator or a channel told it.

    Attributes:
        source, source_key, device_id, epoch, sequence: as of `clearing.pricing.models.Fare`.
        day: its service day.
        stop, off_stop: where it began, and where it ended when the medium was held there too.
        ridden_at_s: what the fare says; `at_s` is the moment that counts, which differs where the clock was unusable.
        before_s, after_s: by how much it may have been earlier or later.
        taken_minor: what was taken, or shown to the rider.
        product: what the bus says it sold.
    """

    source: str
    source_key: str
    device_id: bytes | None
    epoch: int | None
    sequence: int | None
    day: str
    carrier: str
    vehicle: str
    line: int | None
    stop: int | None
    off_stop: int | None
    medium: str
    category: int
    token: bytes | None
    ridden_at_s: int
    at_s: int
    before_s: int
    after_s: int
    taken_minor: int
    product: int | None

    @property
    def is_tap(self) -> bool:
        return self.source == _TAP

    @property
    def key(self) -> str:
        return f"{self.source}/{self.source_key}"

    @property
    def order(self) -> tuple[int, str, str, int, int]:
        """Its place among the rides of a medium: by time; of one moment by its key, on one validator by sequence."""
        if self.device_id is None:
            return self.at_s, self.source, self.source_key, 0, 0
        return self.at_s, self.source, self.device_id.hex(), self.epoch or 0, self.sequence or 0


def doubt_of(clock_quality: int, is_usable: bool, is_rebased: bool) -> tuple[int, int]:
    """By how many seconds a tap may have been earlier or later than the moment that counts for it."""
    if is_rebased:
        return 0, 0
    if not is_usable or clock_quality == CLOCK_UNKNOWN:
        return _DOUBT_UNKNOWN_S, 0  # counted when it came; it was not later
    if clock_quality == CLOCK_HOLDOVER:
        return _DOUBT_HOLDOVER_S, _DOUBT_HOLDOVER_S
    if clock_quality == CLOCK_INFORMATIVE:
        return _DOUBT_INFORMATIVE_S, _DOUBT_INFORMATIVE_S
    return 0, 0
