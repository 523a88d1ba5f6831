"""Gives validators the commands by which they load money that waits (SPEC.md "Top-up command"), one at a time for a top-up.

The key in a command is one card's own and travels wrapped; nothing of it is stored. Whether an earlier command may be given up is
the whole question here: money must not come onto a card twice, and must not wait for ever either.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.endpoint import ConflictError, NotFoundError
from clearing.fleet.keys import Aes, KeyStore
from clearing.fleet.models import Validator, ValidatorKey
from clearing.fleet.service import ACTIVE, Sender
from clearing.ingest.models import TapRow
from clearing.media.models import GivenCommand
from clearing.media.top_ups import oldest_waiting
from protocol.cards.card_layout import UID_BYTES, key_material
from protocol.cards.desfire_crypto import diversify
from protocol.cards.ride_event import decode_evidence
from protocol.cose import TYP_TOP_UP_COMMAND, ec2_key, sign1
from protocol.decisions import DECISION_COMMITTED, DECISION_TOPPED_UP
from protocol.keywrap import wrap
from protocol.tap import CLOCK_INFORMATIVE, KIND_LOST_RANGE, KIND_OUTCOME
from protocol.tokens import mask_uid
from protocol.top_up import LIFE_S, TopUpCommand, TopUpRequest, encode_top_up_command

OUT = "out"
VOID = "void"
# A record that is so much later than a command's end was made when nobody used it any more.
SURELY_OVER_S = 60
_COORDINATE_BYTES = 32
_LATER = "hold the card again later"


def give_command(session: Session, keys: KeyStore, sender: Sender, asked: TopUpRequest, now_ms: int) -> bytes:
    """The signed command for a card that a validator has in its field.

    Raises:
        NotFoundError: nothing waits for this card.
        ConflictError: not to this validator, or not while nobody knows whether an earlier command was used.
    """
    validator = session.get_one(Validator, sender.device)
    if validator.status != ACTIVE or sender.shared is not None:
        raise ConflictError(
            "this validator is given no key that loads money", "release it, or give it a key of its own"
        )
    pending = oldest_waiting(session, sender.city, asked.token)
    if pending is None:
        raise NotFoundError("no money waits for this card", "pay it in first: POST /v1/top-ups")
    for earlier in session.scalars(select(GivenCommand).filter_by(pending_id=pending.id, status=OUT)):
        if not _is_over(session, earlier, sender, asked, now_ms // 1000):
            raise ConflictError("an earlier command for this top-up may have been used", _LATER)
        earlier.status = VOID
    _require_same_card(session, asked)
    given = GivenCommand(
        pending_id=pending.id,
        device_id=sender.device,
        epoch=sender.epoch,
        token=asked.token,
        masked_uid=asked.masked_uid,
        card_counter=asked.counter,
        amount_minor=pending.amount_minor,
        expires_s=now_ms // 1000 + LIFE_S,
        status=OUT,
        given_at_ms=now_ms,
    )
    session.add(given)
    session.flush()
    key = session.get_one(ValidatorKey, sender.kid)
    return _seal(keys, key, sender.city, asked, given)


def _is_over(session: Session, earlier: GivenCommand, sender: Sender, asked: TopUpRequest, now_s: int) -> bool:
    """Whether a command was not used and never will be."""
    if asked.counter == earlier.card_counter:
        is_same_device = (sender.device, sender.epoch) == (earlier.device_id, earlier.epoch)
        # A validator serves one card after the other and keeps no command.
        return is_same_device or now_s > earlier.expires_s
    return _counter_went_elsewhere(session, earlier) or _was_never_begun(session, earlier)


def _counter_went_elsewhere(session: Session, earlier: GivenCommand) -> bool:
    """Whether the card has committed something else at the command's counter."""
    columns = select(TapRow.device_id, TapRow.epoch, TapRow.reference_first)
    committed = columns.where(
        TapRow.token == earlier.token,
        TapRow.kind == KIND_OUTCOME,
        TapRow.decision.in_((DECISION_COMMITTED, DECISION_TOPPED_UP)),
        TapRow.card_counter == earlier.card_counter + 1,
    )
    own = (earlier.device_id, earlier.epoch, earlier.sequence)
    return any((row.device_id, row.epoch, row.reference_first) != own for row in session.execute(committed))


def _was_never_begun(session: Session, earlier: GivenCommand) -> bool:
    """Whether the validator has recorded what came later, and lost nothing, and did not begin to use it."""
    if earlier.sequence is not None:
        return False
    journal = select(TapRow.sequence).filter_by(device_id=earlier.device_id, epoch=earlier.epoch)
    lost = journal.where(TapRow.kind == KIND_LOST_RANGE, TapRow.received_at_ms >= earlier.given_at_ms)
    later = journal.where(
        TapRow.received_at_ms >= earlier.given_at_ms,
        TapRow.tapped_at_s > earlier.expires_s + SURELY_OVER_S,
        TapRow.clock_quality >= CLOCK_INFORMATIVE,
    )
    return session.scalar(lost.limit(1)) is None and session.scalar(later.limit(1)) is not None


def _require_same_card(session: Session, asked: TopUpRequest) -> None:
    """Refuse a UID that is not the one by which the card of that token was known before: its key would be another card's."""
    evidence = session.scalar(
        select(TapRow.evidence)
        .where(TapRow.token == asked.token, TapRow.kind == KIND_OUTCOME, TapRow.evidence.is_not(None))
        .order_by(TapRow.tapped_at_s)
        .limit(1)
    )
    seen = decode_evidence(evidence or b"")
    known = None if seen is None else seen.masked_uid
    if known is None:
        known = session.scalar(select(GivenCommand.masked_uid).filter_by(token=asked.token).limit(1))
    if known is not None and known != asked.masked_uid:
        raise ConflictError("the card of that token has another UID", "look at the validator: its keys may be stolen")


def _credit_key(keys: KeyStore, asked: TopUpRequest) -> bytes:
    """The card's own credit key, of its generation."""
    keys.reload()
    master = keys.transit_credit_master
    if asked.key_version not in {None, keys.transit_version}:
        if keys.transit_earlier is None or keys.transit_earlier[0] != asked.key_version:
            raise ConflictError("the card has keys of another generation", "bring it to a desk")
        master = keys.transit_earlier[1]["transit_credit_master"]
    uid = mask_uid(keys.token_key, asked.token, asked.masked_uid)
    assert len(uid) == UID_BYTES
    return diversify(Aes(), master, key_material(uid))


def _seal(keys: KeyStore, key: ValidatorKey, city: str, asked: TopUpRequest, given: GivenCommand) -> bytes:
    """The command, its key wrapped for the validator alone, signed."""
    assert key.x is not None
    assert key.y is not None
    credit_key = _credit_key(keys, asked)
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    point = ephemeral.public_key().public_numbers()
    x, y = (value.to_bytes(_COORDINATE_BYTES, "big") for value in (point.x, point.y))
    command = TopUpCommand(asked, given.amount_minor, given.number, given.expires_s, ec2_key(x, y))
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(key.x, "big"), int.from_bytes(key.y, "big"), ec.SECP256R1())
    agreed_x = ephemeral.exchange(ec.ECDH(), numbers.public_key())
    command.wrapped = wrap(Aes(), command.agreed_key(agreed_x), credit_key)
    return sign1(encode_top_up_command(command), TYP_TOP_UP_COMMAND, city, keys.documents)
