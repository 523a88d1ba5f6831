"""A second person at the back office, with a token of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clearing.access.roles import Caller, Scope
from clearing.access.service import LOCAL, caller_by_token, issue_token, local_caller
from tests.builders import NOW_MS

if TYPE_CHECKING:
    import httpx

    from clearing.database import Database
    from tests.builders import Office


def local(database: Database) -> Caller:
    """Whoever sits at the machine."""
    with database.reading() as session:
        caller = local_caller(session)
    assert caller is not None
    assert caller.principal_id == LOCAL
    return caller


def token_of(database: Database, name: str = "second", role: str = "approver", city: str | None = None) -> str:
    with database.writing() as session:
        return issue_token(session, name, "person", [Scope(role, city)], NOW_MS)


def second_person(database: Database) -> Caller:
    """Whoever may approve, and has asked for nothing."""
    token = token_of(database)
    with database.reading() as session:
        caller = caller_by_token(session, token)
    assert caller is not None
    return caller


def post_as(office: Office, token: str, path: str, body: dict[str, Any]) -> httpx.Response:
    """Post to the back office with somebody's token."""
    answer: httpx.Response = office.client.post(path, json=body, headers={"authorization": f"Bearer {token}"})
    return answer
