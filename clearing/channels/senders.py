"""Who sends by a channel: which party of the city that is, and the keys by which it signs.

A shared secret is not stored: it follows from the key store and the number of the key, and is shown when it is issued.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.models import Principal
from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.channels.models import ChannelKey
from clearing.channels.signatures import SignedRequest, fault_in
from clearing.endpoint import ConflictError, InvalidError, NotFoundError, RefusedError
from clearing.fleet.keys import KeyStore, verify_es256
from protocol.compat import constant_time_equal, hmac_sha256

HMAC = "hmac"
ES256 = "es256"
_ADMINISTRATOR = "administrator"
_POINT = re.compile(r"(?:04)?([0-9a-f]{64})([0-9a-f]{64})")


class HasCode(Protocol):
    """A party of a city package."""

    @property
    def code(self) -> str: ...


def party_code(parties: Iterable[HasCode], name: str) -> str:
    """Which party a principal of that name is: the one of that code, else the only one there is; empty for nobody."""
    codes = [party.code for party in parties]
    if name in codes:
        return name
    return codes[0] if len(codes) == 1 else ""


def principal_name(session: Session, principal_id: str) -> str:
    return session.get_one(Principal, principal_id).name


def find_principal(session: Session, name: str) -> Principal:
    """A principal by its name.

    Raises:
        NotFoundError: nobody has that name.
    """
    principal = session.scalar(select(Principal).where(Principal.name == name))
    if principal is None:
        raise NotFoundError(f"nobody is called {name}", "issue a token first: jolaqy token issue NAME --role ROLE")
    return principal


def secret_of(keys: KeyStore, key: ChannelKey) -> bytes:
    """The secret of a shared key."""
    return hmac_sha256(keys.channel_master, f"{key.id}/{key.principal_id}".encode())


def issue_key(session: Session, caller: Caller, now_ms: int, name: str, public: str = "") -> ChannelKey:
    """Give a sender a key to sign with: a shared secret, or its own public key as 128 hexadecimal digits (x and y).

    Raises:
        NotFoundError: nobody has that name.
        InvalidError: not a public key of P-256.
    """
    principal = find_principal(session, name)
    key = ChannelKey(principal_id=principal.id, kind=HMAC, created_at_ms=now_ms)
    if public:
        match = _POINT.fullmatch(public.lower())
        point = (bytes.fromhex(match[1]), bytes.fromhex(match[2])) if match else (b"", b"")
        if match is None or not _is_on_curve(*point):
            raise InvalidError("not a public key of the curve P-256", "send x and y, 64 hexadecimal digits each")
        key.kind, (key.x, key.y) = ES256, point
    session.add(key)
    session.flush()
    record_audit(session, caller.principal_id, now_ms, "channel_key.issue", str(key.id), {"to": name, "kind": key.kind})
    return key


def _is_on_curve(x: bytes, y: bytes) -> bool:
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    try:
        numbers.public_key()
    except ValueError:
        return False
    return True


def revoke_key(session: Session, caller: Caller, now_ms: int, number: int) -> ChannelKey:
    """Let a key sign nothing more.

    Raises:
        NotFoundError, ConflictError: there is no such key, or it is revoked already.
    """
    key = session.get(ChannelKey, number, with_for_update=True)
    if key is None:
        raise NotFoundError(f"there is no key {number}", "look them up: jolaqy channels keys")
    if key.revoked_at_ms is not None:
        raise ConflictError(f"key {number} is revoked already", "issue another one")
    key.revoked_at_ms = now_ms
    record_audit(session, caller.principal_id, now_ms, "channel_key.revoke", str(number), {})
    return key


def list_keys(session: Session) -> list[tuple[ChannelKey, str]]:
    """All keys, each with the name of who has it."""
    rows = session.execute(
        select(ChannelKey, Principal.name)
        .join(Principal, Principal.id == ChannelKey.principal_id)
        .order_by(ChannelKey.id)
    )
    return [(key, name) for key, name in rows]


def require_signed(session: Session, keys: KeyStore, caller: Caller, now_ms: int, request: SignedRequest) -> None:
    """Refuse a message that its sender has not signed now; an administrator at the machine need not sign.

    Raises:
        RefusedError: there is no such signature; who holds a stolen token alone can send nothing.
    """
    if any(scope.role == _ADMINISTRATOR for scope in caller.scopes):
        return
    fault = fault_in(request, now_ms // 1000)
    if not fault:
        key = session.get(ChannelKey, request.key_id)
        is_own = key is not None and key.principal_id == caller.principal_id and key.revoked_at_ms is None
        fault = "" if key is not None and is_own and _holds(keys, key, request) else "the signature does not hold"
    if fault:
        raise RefusedError(401, "signature", fault, "sign as clearing/channels/signatures.py says, with a key of yours")


def _holds(keys: KeyStore, key: ChannelKey, request: SignedRequest) -> bool:
    assert request.signature is not None
    if key.x is not None and key.y is not None:
        return verify_es256(key.x, key.y, request.signed_bytes(), request.signature)
    return constant_time_equal(hmac_sha256(secret_of(keys, key), request.signed_bytes()), request.signature)
