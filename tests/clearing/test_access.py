from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from clearing.access.audit import GENESIS, Line, chain_faults, next_hash
from clearing.access.models import Principal
from clearing.access.roles import Caller, Scope
from clearing.access.service import (
    ask_approval,
    audit_faults,
    caller_by_token,
    decide_approval,
    issue_token,
    record_audit,
    use_approval,
)
from clearing.endpoint import ConflictError, ForbiddenError, InvalidError
from tests.builders import NOW_MS, Office

if TYPE_CHECKING:
    from clearing.database import Database

ALICE = "alice"
BORAN = "boran"


def _people(database: Database) -> tuple[Caller, Caller]:
    with database.writing() as session:
        tokens = [issue_token(session, name, "person", [Scope("operator")], NOW_MS) for name in (ALICE, BORAN)]
    with database.reading() as session:
        alice, boran = (caller_by_token(session, token) for token in tokens)
    assert alice
    assert boran
    return alice, boran


def test_a_token_is_stored_as_a_hash_only(database: Database) -> None:
    with database.writing() as session:
        token = issue_token(session, ALICE, "person", [Scope("auditor")], NOW_MS)
    with database.reading() as session:
        caller = caller_by_token(session, token)
        stored = session.execute(text("SELECT token_hash FROM principal WHERE name = 'alice'")).scalar_one()
    assert caller is not None
    assert caller.name == ALICE
    assert token.encode() not in bytes(stored)


def test_a_new_token_of_the_same_name_ends_the_old_one_and_its_roles(database: Database) -> None:
    with database.writing() as session:
        old = issue_token(session, ALICE, "person", [Scope("administrator")], NOW_MS)
        new = issue_token(session, ALICE, "person", [Scope("agent")], NOW_MS)
    with database.reading() as session:
        assert caller_by_token(session, old) is None
        caller = caller_by_token(session, new)
    assert caller is not None
    assert caller.may("top_up.receive")
    assert not caller.may("close.run")


def test_a_disabled_principal_is_nobody(database: Database) -> None:
    with database.writing() as session:
        token = issue_token(session, ALICE, "person", [Scope("auditor")], NOW_MS)
        session.query(Principal).filter_by(name=ALICE).one().disabled = True
    with database.reading() as session:
        assert caller_by_token(session, token) is None


@pytest.mark.parametrize("scopes", [[], [Scope("emperor")]])
def test_a_token_needs_a_known_role(database: Database, scopes: list[Scope]) -> None:
    with pytest.raises(InvalidError), database.writing() as session:
        issue_token(session, ALICE, "person", scopes, NOW_MS)


def test_a_scope_limits_a_role_to_its_city() -> None:
    caller = Caller("1", ALICE, (Scope("operator", "almaty"), Scope("auditor", "astana")))
    assert caller.may("close.run", "almaty")
    assert not caller.may("close.run", "astana")
    assert caller.may("close.read", "astana")
    assert caller.cities("close.read") == frozenset({"almaty", "astana"})
    assert caller.cities("close.run") == frozenset({"almaty"})
    assert Caller("1", ALICE, (Scope("operator"),)).cities("close.run") is None


def test_a_city_in_the_query_or_the_body_is_within_the_scope_or_refused(office: Office) -> None:
    with office.database.writing() as session:
        token = issue_token(session, ALICE, "person", [Scope("operator", "astana")], NOW_MS)
    headers = {"authorization": f"Bearer {token}"}
    query = {"city": "almaty", "day": "2024-05-15"}
    assert office.client.get("/v1/exceptions", params=query, headers=headers).status_code == 403
    body = {"city": "almaty", "tokens": ["00" * 16]}
    assert office.client.post("/v1/lists/deny", json=body, headers=headers).status_code == 403
    assert office.client.get("/v1/cities", headers=headers).json() == {"cities": []}
    assert office.client.get("/v1/validators", headers=headers).json() == {"validators": []}


def test_two_persons_are_needed(database: Database) -> None:
    alice, boran = _people(database)
    with database.writing() as session:
        asked = ask_approval(session, alice, NOW_MS, "key.replace", "ack", b"new key")
    with pytest.raises(ForbiddenError), database.writing() as session:
        use_approval(session, NOW_MS, "key.replace", "ack", b"new key")
    with pytest.raises(ForbiddenError, match="whoever asked"), database.writing() as session:
        decide_approval(session, alice, NOW_MS, asked.id, approve=True)
    with database.writing() as session:
        decide_approval(session, boran, NOW_MS, asked.id, approve=True)
    with pytest.raises(ConflictError), database.writing() as session:
        decide_approval(session, boran, NOW_MS, asked.id, approve=False)


def test_an_approval_is_for_exactly_what_was_asked_and_once(database: Database) -> None:
    alice, boran = _people(database)
    with database.writing() as session:
        asked = ask_approval(session, alice, NOW_MS, "key.replace", "ack", b"new key")
        decide_approval(session, boran, NOW_MS, asked.id, approve=True)
    with pytest.raises(ForbiddenError), database.writing() as session:
        use_approval(session, NOW_MS, "key.replace", "ack", b"another key")
    with database.writing() as session:
        use_approval(session, NOW_MS, "key.replace", "ack", b"new key")
    with pytest.raises(ForbiddenError), database.writing() as session:
        use_approval(session, NOW_MS, "key.replace", "ack", b"new key")


def test_approvals_go_over_http_between_two_people(office: Office) -> None:
    with office.database.writing() as session:
        token = issue_token(session, BORAN, "person", [Scope("approver")], NOW_MS)
    asked = {"action": "key.replace", "subject": "ack", "body": "new key"}
    asked_for = office.client.post("/v1/approvals", json=asked).json()
    path = f"/v1/approvals/{asked_for['id']}/decision"
    assert office.client.post(path, json={"approve": True}).status_code == 403
    headers = {"authorization": f"Bearer {token}"}
    assert office.client.post(path, json={"approve": True}, headers=headers).json()["decision"] == "approved"
    assert office.client.get("/v1/approvals", headers=headers).json()["approvals"][0]["decision"] == "approved"


def test_the_audit_log_is_a_chain(database: Database) -> None:
    with database.writing() as session:
        for number in range(3):
            record_audit(session, "local", NOW_MS + number, "test", f"{number}", {"b": 1, "a": "ә"})
    with database.reading() as session:
        assert audit_faults(session) == []


def test_a_changed_removed_or_inserted_audit_record_is_noticed() -> None:
    lines = [Line(number, "local", "test", f"{number}", "{}") for number in range(4)]
    chain = []
    head = GENESIS
    for line in lines:
        chain.append((line, head, next_hash(head, line)))
        head = chain[-1][2]
    assert chain_faults(chain) == []
    line, previous, own = chain[1]
    changed = (dataclasses.replace(line, subject="other"), previous, own)
    assert chain_faults([chain[0], changed, *chain[2:]]) == ["record 2: was changed"]
    assert chain_faults([chain[0], *chain[2:]]) == ["record 2: does not follow the one before it"]
    assert chain_faults(chain[1:])


def test_what_people_do_is_in_the_audit_log(office: Office) -> None:
    office.invite()
    records = office.client.get("/v1/audit").json()
    assert records["faults"] == []
    assert [record["action"] for record in records["records"]] == ["validator.invite"]
