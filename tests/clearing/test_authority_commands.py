"""`jolaqy authorities`: a list from a file, published by two persons; and files that are no lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from clearing.access.roles import Scope
from clearing.access.service import issue_token
from tests.builders import CITY, NOW_MS, Office

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clearing.command import Command

_AS_OF = ("--as-of", "2024-05-15T03:00")
_KEY = {
    "rid": "A000000003",
    "index": 153,
    "modulus": "c1" * 143 + "01",
    "exponent": 3,
    "expires_yymm": "3112",
}
_REVOKED = "a00000000399000007"


@pytest.fixture
def list_file(tmp_path: Path) -> Path:
    path = tmp_path / "authorities.json"
    path.write_text(json.dumps({"keys": [_KEY], "revoked": [_REVOKED]}))
    return path


def _approve_newest(office: Office) -> None:
    number = office.client.get("/v1/approvals").json()["approvals"][-1]["id"]
    with office.database.writing() as session:
        token = issue_token(session, "second", "person", [Scope("approver")], NOW_MS)
    headers = {"authorization": f"Bearer {token}"}
    path = f"/v1/approvals/{number}/decision"
    assert office.client.post(path, json={"approve": True}, headers=headers).status_code == 200


def test_a_list_is_published_once_a_second_person_has_approved_it(
    office: Office, command: Command, list_file: Path
) -> None:
    publish = ("authorities", "publish", str(list_file), *_AS_OF)
    assert command.run("authorities", "list", *_AS_OF)[0] == 3
    for _ in range(2):
        code, _, errors = command.run(*publish)
        assert code == 1
        assert "second person" in errors
    _approve_newest(office)
    assert command.json(*publish) == {"city": CITY, "number": 1, "keys": 1, "revoked": 1}
    shown: dict[str, Any] = command.json("authorities", "list", *_AS_OF)
    assert shown["keys"] == [{"rid": "A000000003", "index": 153, "bits": 1152, "exponent": 3, "expires_yymm": "3112"}]
    assert shown["revoked"] == [_REVOKED]
    assert "A000000003" in command.run("authorities", "list", *_AS_OF)[1]


def test_what_was_approved_is_that_list_and_no_other(office: Office, command: Command, list_file: Path) -> None:
    publish = ("authorities", "publish", str(list_file), *_AS_OF)
    command.run(*publish)
    _approve_newest(office)
    list_file.write_text(json.dumps({"keys": [_KEY | {"index": 154}]}))
    assert command.run(*publish)[0] == 1
    assert command.run("authorities", "list", *_AS_OF)[0] == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no JSON", "cannot be read"),
        ("[]", "no object"),
        ("{}", "keys"),
        (json.dumps({"keys": [_KEY | {"modulus": "zz", "exponent": 2}]}), "exponent"),
        (json.dumps({"keys": [_KEY], "revoked": ["00"], "more": 1}), "revoked.0"),
        (json.dumps({"keys": [_KEY | {"sha1": "00" * 20}]}), "mistyped"),
        (json.dumps({"keys": [_KEY, _KEY]}), "no list of authorities"),
        (" " * 1_000_001, "longer than"),
    ],
)
def test_a_file_that_is_no_list_is_refused_before_anybody_is_asked(
    office: Office, command: Command, list_file: Path, content: str, said: str
) -> None:
    list_file.write_text(content)
    code, _, errors = command.run("authorities", "publish", str(list_file), *_AS_OF)
    assert code != 0
    assert said in errors
    assert office.client.get("/v1/approvals").json()["approvals"] == []


def test_all_faults_of_a_file_are_told_at_once(command: Command, list_file: Path) -> None:
    list_file.write_text(json.dumps({"keys": [_KEY | {"modulus": "zz", "exponent": 2}], "revoked": ["00"]}))
    _, _, errors = command.run("authorities", "publish", str(list_file))
    assert all(place in errors for place in ("keys.0.modulus", "keys.0.exponent", "revoked.0"))


def test_a_city_that_is_not_loaded_and_a_file_that_is_not_there(command: Command, list_file: Path) -> None:
    assert command.run("authorities", "publish", str(list_file), "--city", "atlantis")[0] == 3
    assert command.run("authorities", "publish", str(list_file.with_suffix(".not")))[0] == 1
