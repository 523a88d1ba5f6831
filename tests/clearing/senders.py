"""Whoever sends by a channel in a test, and what the city has agreed with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from clearing.access.roles import Scope
from clearing.access.service import issue_token, local_caller
from clearing.channels.senders import issue_key, secret_of
from clearing.network.parties import Names, Parties, Party
from clearing.network.service import store_parties
from simulator.counterparties.party import Sender
from tests.builders import CITY, NOW_MS, Office

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from clearing.access.roles import Caller

Kind = TypeVar("Kind", bound=Party)


def make_sender(office: Office, name: str, role: str, *, signed: bool = True) -> Sender:
    """A program with a token, and with a key where it signs."""
    with office.database.writing() as session:
        token = issue_token(session, name, "service", [Scope(role, CITY)], NOW_MS)
        key = issue_key(session, local(session), NOW_MS, name) if signed else None
        secret = b"" if key is None else secret_of(office.keys, key)
        return Sender(office.client, token, office.clock.now_ms, 0 if key is None else key.id, secret)


def local(session: Session) -> Caller:
    """The local administrator."""
    caller = local_caller(session)
    assert caller is not None
    return caller


def party(kind: type[Kind], code: str, **fields: Any) -> Kind:  # noqa: ANN401 - as the kind has them
    """A party of a city package."""
    return kind(code=code, names=Names(kk=code, ru=code, en=code), **fields)


def agree(office: Office, **parties: Any) -> None:  # noqa: ANN401 - as Parties has them
    """Let the city have these parties, and no others."""
    with office.database.writing() as session:
        store_parties(session, CITY, Parties(**parties))
