"""Key sets: what each of the service's keys may sign, said by the roots; and which ack key each validator is answered with.

A set is renewed when less than half of its life is left (looked at when the service starts, when it migrates, at acks and
at enrolments), since a validator whose set has expired frees nothing. Where an ack
key is rotated, the set that names it is announced first, and each validator is answered by the key before for OVERLAP_MS
after it was first told: the time begins when it is heard from, so a bus that stood in a depot for weeks loses nothing.
An earlier key is forgotten when nobody is answered with it any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Select, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import ConflictError
from clearing.fleet.keys import ACK, DOCUMENTS, Es256Signer, KeyStore, Roots
from clearing.fleet.models import Invitation, IssuedKeySet, SignedDocument, Validator
from clearing.network.service import lock_city
from protocol.cose import TYP_KEY_SET, parse
from protocol.cose_sign import parse as parse_signed
from protocol.cose_sign import sign_all
from protocol.keyset import (
    ROLE_ACK,
    ROLE_FARE_TABLE,
    ROLE_LIST,
    ROLE_ROOT,
    ROLE_TICKET,
    ROLE_TOP_UP,
    KeySet,
    decode_key_set,
    encode_key_set,
)
from protocol.limits import KEY_SET_KEYS_MAX

LIFE_S = 365 * 86_400
OVERLAP_MS = 86_400_000
# Who was silent for so long is answered by the newest key, and asks for the set that names it.
SILENT_MS = 180 * 86_400_000
_DOCUMENT_ROLES = ROLE_LIST | ROLE_FARE_TABLE | ROLE_TICKET | ROLE_TOP_UP
_GONE = ("revoked", "retired")
_NEWEST = (
    select(IssuedKeySet).where(IssuedKeySet.city == bindparam("city")).order_by(IssuedKeySet.number.desc()).limit(1)
)


def newest_key_set(session: Session, city: str) -> IssuedKeySet | None:
    """The key set in force in a city; nothing where the installation has no roots."""
    return session.scalar(_NEWEST, {"city": city})


def find_key_set(session: Session, number: int, city: str | None) -> IssuedKeySet | None:
    """A key set by its number; the city may be left out where there is only one that has it."""
    query = select(IssuedKeySet).where(IssuedKeySet.number == number)
    found = session.scalars(query if city is None else query.where(IssuedKeySet.city == city)).all()
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=64)
def read_key_set(body: bytes) -> KeySet:
    """What a key set of our own says."""
    return decode_key_set(parse_signed(body).payload)


def is_due(key_set: IssuedKeySet, now_s: int) -> bool:
    """Whether less than half of its life is left."""
    return key_set.expires_s - now_s < LIFE_S // 2


def keep_key_set(session: Session, keys: KeyStore, city: str, now_ms: int) -> int | None:
    """Issue a key set if there is none, the keys have changed, or it is due; returns the number in force.

    Raises:
        ConflictError: the roots of the set in force are not here.
    """
    lock_city(session, city)
    keys.reload()
    newest = newest_key_set(session, city)
    if newest is not None and not is_due(newest, now_ms // 1000) and _says_the_same(read_key_set(newest.body), keys):
        return newest.number
    if newest is None:
        keys.make_roots()
    if keys.roots is None and newest is None:
        return None
    if keys.roots is None:
        raise ConflictError(f"the key set of {city} must be renewed by its roots", "put roots.json beside keys.json")
    return _issue(session, keys, keys.roots, city, newest, now_ms)


def _roles(keys: KeyStore) -> dict[bytes, tuple[tuple[bytes, bytes], int]]:
    assert keys.roots is not None
    named: list[tuple[Es256Signer, int]] = [(signer, ROLE_ROOT) for signer in keys.roots.signers]
    named += [(signer, ROLE_ACK) for signer in keys.signers(ACK)]
    named += [(signer, _DOCUMENT_ROLES) for signer in keys.signers(DOCUMENTS)]
    return {signer.kid: ((signer.x, signer.y), roles) for signer, roles in named}


def _says_the_same(key_set: KeySet, keys: KeyStore) -> bool:
    held = {signer.kid: ROLE_ACK for signer in keys.signers(ACK)}
    held |= {signer.kid: _DOCUMENT_ROLES for signer in keys.signers(DOCUMENTS)}
    return held == {kid: roles for kid, (_, roles) in key_set.keys.items() if roles != ROLE_ROOT}


def _issue(session: Session, keys: KeyStore, roots: Roots, city: str, before: IssuedKeySet | None, now_ms: int) -> int:
    number = before.number + 1 if before else 1
    key_set = KeySet(number, now_ms // 1000 + LIFE_S, _roles(keys), roots.threshold)
    if len(key_set.keys) > KEY_SET_KEYS_MAX:
        raise ConflictError(
            "too many earlier keys are still in use", "wait until validators have the newest, then rotate"
        )
    issued = IssuedKeySet(
        city=city,
        number=number,
        expires_s=key_set.expires_s,
        ack_kid=keys.ack.kid,
        body=sign_all(encode_key_set(key_set), TYP_KEY_SET, city, _signing_roots(roots, before)),
        issued_at_ms=now_ms,
    )
    session.add(issued)
    session.flush()
    return issued.number


def _signing_roots(roots: Roots, before: IssuedKeySet | None) -> list[Es256Signer]:
    """As many roots as the new set and the one before it want."""
    if before is None:
        return roots.signers[: roots.threshold]
    old = read_key_set(before.body)
    agreed = [signer for signer in roots.signers if old.may(signer.kid, ROLE_ROOT)]
    if len(agreed) < old.root_threshold:
        raise ConflictError(
            f"key set {before.number} of {before.city} was signed by other roots",
            "put its roots.json back beside keys.json",
        )
    return agreed[: max(old.root_threshold, roots.threshold)]


def announce(validator: Validator, newest: IssuedKeySet | None, now_ms: int) -> None:
    """Note that an ack names the key set in force, and change to its ack key when the validator has had time to fetch it."""
    if newest is None:
        return
    if validator.key_set_told != newest.number:
        validator.key_set_told, validator.key_set_told_at_ms = newest.number, now_ms
    if validator.ack_kid == newest.ack_kid:
        return
    had_time = now_ms - (validator.key_set_told_at_ms or now_ms) >= OVERLAP_MS
    is_gone = validator.ack_kid is not None and not read_key_set(newest.body).may(validator.ack_kid, ROLE_ACK)
    if had_time or is_gone or validator.ack_kid is None:
        validator.ack_kid = newest.ack_kid


def rotate(
    session: Session, keys: KeyStore, caller: Caller, now_ms: int, purpose: str, cities: list[str], *, forget: bool
) -> dict[str, int]:
    """Make a new ack or document key and issue the key sets that name it; returns their numbers by city.

    With `forget` the key before is in wrong hands: it is destroyed at once, and validators must fetch the set first.
    """
    session.execute(update(Validator).where(Validator.ack_kid.is_(None)).values(ack_kid=keys.ack.kid))
    keys.reload()
    _forget_unneeded(session, keys, now_ms)
    keys.rotate(purpose, forget=forget)
    numbers = {city: keep_key_set(session, keys, city, now_ms) for city in cities}
    issued = {city: number for city, number in numbers.items() if number is not None}
    detail: dict[str, object] = {"sets": issued, "forget": forget}
    record_audit(session, caller.principal_id, now_ms, "key.rotate", purpose, detail)
    return issued


@dataclass(frozen=True)
class KeySetView:
    """A key set in force, for people.

    Attributes:
        roots_here: whether the roots that must sign the next one are at hand.
        ack_kids: its ack keys, newest first where they are held, with the number of validators that are answered by each.
    """

    city: str
    number: int
    expires_s: int
    root_threshold: int
    roots: int
    roots_here: bool
    ack_kids: tuple[tuple[str, int], ...]
    document_kids: tuple[str, ...]


def show_key_sets(session: Session, keys: KeyStore, cities: list[str]) -> list[KeySetView]:
    """The key sets in force."""
    newest = [each for each in (newest_key_set(session, city) for city in cities) if each is not None]
    return [_view(session, keys, each) for each in newest]


def _view(session: Session, keys: KeyStore, issued: IssuedKeySet) -> KeySetView:
    key_set = read_key_set(issued.body)
    users = select(Validator.ack_kid, func.count()).where(Validator.city == issued.city, Validator.status.not_in(_GONE))
    answered = {kid or keys.ack.kid: count for kid, count in session.execute(users.group_by(Validator.ack_kid))}
    acks = sorted(key_set.points(ROLE_ACK), key=lambda kid: (kid != issued.ack_kid, kid))
    held = [] if keys.roots is None else [root.kid for root in keys.roots.signers if key_set.may(root.kid, ROLE_ROOT)]
    return KeySetView(
        issued.city,
        issued.number,
        issued.expires_s,
        key_set.root_threshold,
        len(key_set.points(ROLE_ROOT)),
        len(held) >= key_set.root_threshold,
        tuple((kid.hex(), answered.get(kid, 0)) for kid in acks),
        tuple(sorted(kid.hex() for kid in key_set.points(ROLE_LIST))),
    )


def _forget_unneeded(session: Session, keys: KeyStore, now_ms: int) -> None:
    needed = set(
        session.scalars(
            select(Validator.ack_kid)
            .where(Validator.status.not_in(_GONE))
            .where(or_(Validator.last_seen_ms > now_ms - SILENT_MS, Validator.enrolled_at_ms > now_ms - SILENT_MS))
            .distinct()
        )
    )
    open_codes = select(Invitation.ack_kid).where(Invitation.used_at_ms.is_(None), Invitation.expires_at_ms > now_ms)
    needed |= set(session.scalars(open_codes.distinct()))
    keys.forget(ACK, [signer.kid for signer in keys.signers(ACK)[1:] if signer.kid not in needed])
    signing = {parse(body).kid for body in session.scalars(_documents_in_force())}
    keys.forget(DOCUMENTS, [signer.kid for signer in keys.signers(DOCUMENTS)[1:] if signer.kid not in signing])


def _documents_in_force() -> Select[bytes]:
    newest = select(SignedDocument.kind, func.max(SignedDocument.number).label("number")).group_by(
        SignedDocument.kind, SignedDocument.city, SignedDocument.valid_from_s
    )
    found = newest.subquery()
    return select(SignedDocument.body).join(
        found, (SignedDocument.kind == found.c.kind) & (SignedDocument.number == found.c.number)
    )
