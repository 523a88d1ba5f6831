"""Tables of settlement: closed days in versions that never change, adjustments and payouts that two persons decide."""

from __future__ import annotations

import json

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class Close(Base):
    """A closed day.

    Attributes:
        version: 1, and one more each time that late taps or an adjustment changed the day.
        totals_json: canonical JSON of everything that the close says, in the format that it names.
        sha256: hexadecimal, over `totals_json`.
    """

    __tablename__ = "close"
    __table_args__ = (UniqueConstraint("city", "service_day", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    service_day: Mapped[str]
    version: Mapped[int]
    closed_at_ms: Mapped[int]
    closed_by: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    totals_json: Mapped[str]
    sha256: Mapped[str]


class Adjustment(Base):
    """A correction of a day that one person asks for and another decides.

    Attributes:
        reference: whoever asked names it, once in a city.
        kind: `correction`, `refund` (to riders), or `late`: what came after the day was final is let in.
        legs_json: canonical JSON of amounts by account, debit positive; empty where it only lets in what came late.
        body_sha256: over all that was asked: the same reference with another body is a conflict, not a repetition.
        state: `requested`, `approved` or `rejected`.
        approval_id: of the request that the second person decides.
        version: of the close that has booked it; absent until then.
    """

    __tablename__ = "adjustment"
    __table_args__ = (
        UniqueConstraint("city", "reference"),
        CheckConstraint("kind IN ('correction', 'refund', 'late')", name="kind"),
        CheckConstraint("state IN ('requested', 'approved', 'rejected')", name="state"),
        Index(None, "city", "service_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    service_day: Mapped[str]
    reference: Mapped[str]
    kind: Mapped[str]
    reason: Mapped[str]
    legs_json: Mapped[str]
    body_sha256: Mapped[bytes]
    state: Mapped[str]
    approval_id: Mapped[int] = mapped_column(ForeignKey("approval.id"))
    version: Mapped[int | None]

    def legs(self) -> tuple[tuple[str, int], ...]:
        return tuple(sorted(json.loads(self.legs_json).items()))


class Payout(Base):
    """Money that shall go to a carrier for some days, proposed by one person and decided by another.

    Attributes:
        reference: our own, on the payment order; used once in a city.
        first_day, last_day: of the oldest entry that it pays; of the day up to which it was proposed.
        due_minor: what is owed by the entries that it pays.
        netted_json: cash and shortages that the carrier holds and that are set off against it, by account.
        amount_minor: what goes over the bank: what is due less what is netted.
        pay_on: ISO date.
        name, bin, iban, bic, beneficiary_code, purpose: to whom and what for, as the city package said when it was proposed.
        state: `proposed`, `approved` or `rejected`.
    """

    __tablename__ = "payout"
    __table_args__ = (
        UniqueConstraint("city", "reference"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name="state"),
        Index(None, "city", "party", "first_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    party: Mapped[str]
    first_day: Mapped[str]
    last_day: Mapped[str]
    due_minor: Mapped[int]
    netted_json: Mapped[str]
    amount_minor: Mapped[int]
    pay_on: Mapped[str]
    name: Mapped[str]
    bin: Mapped[str]
    iban: Mapped[str]
    bic: Mapped[str]
    beneficiary_code: Mapped[str]
    purpose: Mapped[str]
    state: Mapped[str]
    approval_id: Mapped[int] = mapped_column(ForeignKey("approval.id"))

    def netted(self) -> dict[str, int]:
        return {str(account): int(amount) for account, amount in json.loads(self.netted_json).items()}


class PayoutItem(Base):
    """An entry that a payout pays: each is paid once. Those of a rejected payout are taken away, and paid by a later one."""

    __tablename__ = "payout_item"

    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("account.code"), primary_key=True)
    payout_id: Mapped[int] = mapped_column(ForeignKey("payout.id"), index=True)
    amount_minor: Mapped[int]
