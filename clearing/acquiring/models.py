"""Tables of acquiring: bank cards by their tokens, what each owes for a window, and what was asked of the acquirer.

No card number is here, and nothing that opens what validators sealed for the acquirer: a row names the record that holds it.
What a charge says of its state and sums follows from its lines and operations (`states.py`), and is kept to be searched for.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clearing.database import Base


class BankCard(Base):
    """A bank card or phone that was held before a validator of a city.

    Attributes:
        token: as in taps; of a ride without one, what stands for it.
        approved_at_ms: when a bank last approved anything of it; absent for a fresh card.
        declined_at_ms: since when it is denied although it owes nothing: the bank did not verify it, or the issuer bore its
            first ride.
        tries, tried_at_ms: to verify it since then, and the last one's moment.
        next_at_ms: when it is verified next; absent when it is not.
    """

    __tablename__ = "bank_card"
    __table_args__ = (UniqueConstraint("city", "token"), Index(None, "city", "next_at_ms"))

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    token: Mapped[bytes]
    first_seen_s: Mapped[int]
    approved_at_ms: Mapped[int | None]
    declined_at_ms: Mapped[int | None]
    tries: Mapped[int] = mapped_column(default=0)
    tried_at_ms: Mapped[int | None]
    next_at_ms: Mapped[int | None]


class Charge(Base):
    """What one card owes for one window.

    Attributes:
        reference: by which riders and pages name it.
        window_s: beginning of the window, unix seconds; `service_day` is the one it begins in.
        due_at_ms: from then on the money is asked for.
        rides, fares_minor: its lines, and their sum.
        allowance_minor: what two persons have let the rider off.
        liability: who bears a declined first ride, `issuer` or `operator`; empty while nothing was declined.
        given_up_at_ms: when its debt was written off.
        borne_json: by whom: amounts by account, canonical JSON.
        declined_at_ms, tried_at_ms: when its debt began; the newest attempt's moment.
        next_at_ms: when there is something to do; absent when there is not.
        let_off_minor: of the allowance, what its rides are worth at least.
        taken_minor … fee_minor: sums over its operations.
    """

    __tablename__ = "charge"
    __table_args__ = (
        UniqueConstraint("reference"),
        UniqueConstraint("card_id", "window_s"),
        CheckConstraint("allowance_minor >= 0", name="allowance_not_negative"),
        CheckConstraint("state IN ('open', 'authorised', 'closed', 'debt', 'debt_final')", name="state"),
        Index(None, "city", "service_day"),
        Index(None, "city", "next_at_ms"),
        Index(None, "city", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    card_id: Mapped[int] = mapped_column(ForeignKey("bank_card.id"))
    window_s: Mapped[int]
    service_day: Mapped[str]
    due_at_ms: Mapped[int]
    rides: Mapped[int] = mapped_column(default=0)
    fares_minor: Mapped[int] = mapped_column(default=0)
    allowance_minor: Mapped[int] = mapped_column(default=0)
    state: Mapped[str]
    liability: Mapped[str] = mapped_column(default="")
    declined_at_ms: Mapped[int | None]
    tried_at_ms: Mapped[int | None]
    given_up_at_ms: Mapped[int | None]
    next_at_ms: Mapped[int | None]
    taken_minor: Mapped[int] = mapped_column(default=0)
    returned_minor: Mapped[int] = mapped_column(default=0)
    owed_minor: Mapped[int] = mapped_column(default=0)
    written_off_minor: Mapped[int] = mapped_column(default=0)
    let_off_minor: Mapped[int] = mapped_column(default=0)
    disputed_minor: Mapped[int] = mapped_column(default=0)
    lost_minor: Mapped[int] = mapped_column(default=0)
    settled_minor: Mapped[int] = mapped_column(default=0)
    fee_minor: Mapped[int] = mapped_column(default=0)
    borne_json: Mapped[str] = mapped_column(default="{}")
    card: Mapped[BankCard] = relationship()
    operations: Mapped[list[AcquirerOperation]] = relationship(order_by="AcquirerOperation.id", viewonly=True)


class ChargeLine(Base):
    """A ride in its charge. The ride is the key: it is in one charge, and for ever in that one.

    Attributes:
        amount_minor: its fare as it is priced now; 0 when it turned out to be no ride.
    """

    __tablename__ = "charge_line"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        Index(None, "city", "service_day"),
    )

    source: Mapped[str] = mapped_column(primary_key=True)
    source_key: Mapped[str] = mapped_column(primary_key=True)
    charge_id: Mapped[int] = mapped_column(ForeignKey("charge.id"), index=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    service_day: Mapped[str]
    carrier: Mapped[str]
    ridden_at_s: Mapped[int]
    amount_minor: Mapped[int]


class AcquirerOperation(Base):
    """Something asked of the acquirer, or told by it; its reference makes it one.

    Attributes:
        party: empty for what we ask; id of the principal that told it for a payment or chargeback.
        charge_id: absent when a card is verified.
        number: of an authorisation and its capture, the attempt; of others, which of their kind.
        cause: of an attempt: `window`, `merchant` or `tap`; of a capture that the issuer is liable for, `issuer`.
        original: of a refund or chargeback, the reference of what was taken.
        outcome: `asked`, `refused` or `done`; of a chargeback `asked` is open, `done` is lost.
        code: why it was refused, as the acquirer says.
        device_id, epoch, sequence: of the record that holds what was sealed for the acquirer.
        body_sha256: over what was told; absent for what we ask.
        fault: what was wrong with the last answer; it was not believed.
        settled_minor, fee_minor, settled_day: as the statement has it, signed; absent until then.
    """

    __tablename__ = "acquirer_operation"
    __table_args__ = (
        UniqueConstraint("party", "reference"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint("outcome IN ('asked', 'refused', 'done')", name="outcome"),
        Index(None, "city", "outcome", "kind"),
        Index(None, "city", "reference"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    party: Mapped[str] = mapped_column(default="")
    reference: Mapped[str]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    card_id: Mapped[int] = mapped_column(ForeignKey("bank_card.id"), index=True)
    charge_id: Mapped[int | None] = mapped_column(ForeignKey("charge.id"), index=True)
    kind: Mapped[str]
    number: Mapped[int]
    cause: Mapped[str] = mapped_column(default="")
    original: Mapped[str] = mapped_column(default="")
    amount_minor: Mapped[int]
    outcome: Mapped[str]
    code: Mapped[str] = mapped_column(default="")
    acquirer_reference: Mapped[str] = mapped_column(default="")
    device_id: Mapped[bytes | None]
    epoch: Mapped[int | None]
    sequence: Mapped[int | None]
    body_sha256: Mapped[bytes | None]
    asked_at_ms: Mapped[int]
    ended_at_ms: Mapped[int | None]
    fault: Mapped[str] = mapped_column(default="")
    settled_minor: Mapped[int | None]
    fee_minor: Mapped[int | None]
    settled_day: Mapped[str | None]


class AcquirerNotice(Base):
    """A notification of the acquirer, and what was answered, and is answered when it comes again."""

    __tablename__ = "acquirer_notice"
    __table_args__ = (UniqueConstraint("party", "reference"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    party: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    operation: Mapped[str]
    verdict: Mapped[str]
    received_at_ms: Mapped[int]
