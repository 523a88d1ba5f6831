"""The service's own keys: the roots say what they may sign, they change without a validator losing anything, and in time."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from clearing.access.roles import Scope
from clearing.access.service import issue_token
from clearing.endpoint import ConflictError
from clearing.fleet.key_sets import LIFE_S, OVERLAP_MS, SILENT_MS, keep_key_set, newest_key_set
from clearing.fleet.keys import KeyStore, open_keys
from clearing.fleet.models import Invitation
from clearing.ingest.receiver import Receiver
from protocol import keyset
from protocol.ack import STATUS_KEY_EXPIRED, WANTED_DENY_LIST, WANTED_KEY_BUNDLE, WANTED_KEY_SET, decode_error
from protocol.cose import TYP_LIST, parse, verify1
from protocol.errors import UnknownKid
from tests.builders import CITY, NOW_MS, NOW_S, Device, Office, make_verifier

if TYPE_CHECKING:
    from pathlib import Path

    from clearing.settings import Settings
    from tests.clearing.command import Command

_AS_OF = ("--as-of", "2024-05-15T03:00")


def _approve_and_run(office: Office, command: Command, *arguments: str) -> dict[str, int]:
    """Ask, let a second person approve, and do it."""
    code, _, errors = command.run("keys", "rotate", *arguments, *_AS_OF)
    assert code == 1, errors
    number = office.client.get("/v1/approvals").json()["approvals"][-1]["id"]
    with office.database.writing() as session:
        token = issue_token(session, "second", "person", [Scope("approver")], NOW_MS)
    answer = office.client.post(
        f"/v1/approvals/{number}/decision", json={"approve": True}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200
    return dict(command.json("keys", "rotate", *arguments, *_AS_OF)["key_sets"])


def _fetch(office: Office, device: Device, number: int) -> None:
    """Take a key set as a validator does."""
    answer = office.client.get(f"/v1/key-sets/{number}", params={"city": device.audience})
    assert answer.headers["content-type"] == "application/cose"
    now_s = office.clock.now_ms() // 1000
    device.key_set = keyset.take(answer.content, device.audience, device.key_set, now_s, make_verifier)


def _signer_of_acks(office: Office, device: Device) -> bytes:
    """Let a validator report, and return the kid of the ack."""
    answer = office.client.post("/v1/batches", content=device.message([]))
    device.read_ack(answer.content)
    return parse(answer.content).kid


def _keys(command: Command) -> KeyStore:
    return open_keys(command.home / "keys.json")


def test_a_key_set_comes_with_enrolment_and_names_who_may_sign_what(office: Office, device: Device) -> None:
    assert device.key_set is not None
    assert (device.key_set.number, device.key_set.root_threshold) == (1, 2)
    assert device.key_set.expires_s == NOW_S + LIFE_S
    assert len(device.key_set.points(keyset.ROLE_ROOT)) == 3
    assert device.key_set.may(office.keys.ack.kid, keyset.ROLE_ACK)
    assert device.key_set.may(office.keys.documents.kid, keyset.ROLE_LIST | keyset.ROLE_FARE_TABLE)
    assert not device.key_set.may(office.keys.documents.kid, keyset.ROLE_ACK)
    assert office.send(device, device.message([])).wanted is not None
    assert device.enrolled is not None
    assert office.client.get("/v1/key-sets/1").content == device.enrolled.key_set
    assert office.client.get("/v1/key-sets/2").status_code == 404


def test_a_rotation_needs_two_persons(office: Office, command: Command) -> None:
    code, _, errors = command.run("keys", "rotate", "ack")
    assert code == 1
    assert "second person" in errors
    assert command.run("keys", "rotate", "ack")[0] == 1, "asking again is no approval"
    assert len(office.client.get("/v1/approvals").json()["approvals"]) == 1
    number = office.client.get("/v1/approvals").json()["approvals"][0]["id"]
    assert office.client.post(f"/v1/approvals/{number}/decision", json={"approve": True}).status_code == 403


def test_a_new_ack_key_is_announced_first_and_used_when_the_validator_has_had_time(
    office: Office, device: Device, command: Command
) -> None:
    old = _signer_of_acks(office, device)
    assert _approve_and_run(office, command, "ack") == {CITY: 2}
    office.clock.at_ms += 30 * 86_400_000  # the bus stood in its depot: its time begins when it is heard from
    ack = office.send(device, device.message([]))
    assert ack.wanted is not None
    assert ack.wanted[WANTED_KEY_SET] == 2
    office.clock.at_ms += OVERLAP_MS - 1
    assert _signer_of_acks(office, device) == old
    _fetch(office, device, 2)
    office.clock.at_ms += 1
    new = _signer_of_acks(office, device)
    assert new != old
    assert device.key_set is not None
    assert device.key_set.may(new, keyset.ROLE_ACK)
    shown = command.json("keys", "show")["key_sets"][0]
    assert shown["ack_kids"] == [[new.hex(), 1], [old.hex(), 0]]


def test_a_validator_that_is_many_sets_behind_catches_up_one_by_one(
    office: Office, device: Device, command: Command
) -> None:
    for number in (2, 3, 4):
        assert _approve_and_run(office, command, "ack") == {CITY: number}
    for number in (2, 3, 4):
        _fetch(office, device, number)
    office.send(device, device.message([]))
    office.clock.at_ms += OVERLAP_MS
    assert _signer_of_acks(office, device) == _keys(command).ack.kid


def test_an_ack_key_in_wrong_hands_is_gone_at_once(office: Office, device: Device, command: Command) -> None:
    old = _signer_of_acks(office, device)
    _approve_and_run(office, command, "ack", "--forget")
    with pytest.raises(UnknownKid):
        office.send(device, device.message([]))
    _fetch(office, device, 2)
    assert device.key_set is not None
    assert not device.key_set.may(old, keyset.ROLE_ACK)
    assert _signer_of_acks(office, device) != old
    assert old.hex() not in (command.home / "keys.json").read_text()
    assert len(_keys(command).signers("ack")) == 1


def test_an_earlier_key_is_forgotten_when_nobody_needs_it(office: Office, device: Device, command: Command) -> None:
    office.invite(vehicle="A-102")
    for expected in (2, 3):
        _approve_and_run(office, command, "ack")
        assert len(_keys(command).signers("ack")) == expected, "a bus, or an open code, still needs the first"
    office.send(device, device.message([]))
    office.clock.at_ms += OVERLAP_MS
    for number in (2, 3):
        _fetch(office, device, number)
    office.send(device, device.message([]))
    with office.database.writing() as session:
        session.execute(update(Invitation).values(expires_at_ms=NOW_MS - 1))
    _approve_and_run(office, command, "ack")
    assert len(_keys(command).signers("ack")) == 2, "the one before, and the newest"


def test_a_code_from_before_a_rotation_is_answered_by_the_key_that_it_names(office: Office, command: Command) -> None:
    code = office.invite()
    _approve_and_run(office, command, "ack")
    device = Device(seed=1)
    answer = office.client.post("/v1/enrolments", content=device.request_enrolment(code))
    device.read_enrolled(answer.content, code)
    assert device.key_set is not None
    assert device.key_set.number == 2
    assert office.send(device, device.message([device.record()])).sequence == 1


def test_a_code_that_names_a_forgotten_key_has_expired(office: Office, command: Command) -> None:
    code = office.invite()
    _approve_and_run(office, command, "ack", "--forget")
    answer = office.client.post("/v1/enrolments", content=Device(seed=1).request_enrolment(code))
    assert decode_error(answer.content).status == STATUS_KEY_EXPIRED


def test_a_new_document_key_signs_everything_in_force_anew(office: Office, device: Device, command: Command) -> None:
    before = office.send(device, device.message([])).wanted
    assert _approve_and_run(office, command, "documents") == {CITY: 2}
    wanted = office.send(device, device.message([])).wanted
    assert before is not None
    assert wanted is not None
    assert all(wanted[what] > before[what] for what in set(before) - {WANTED_KEY_BUNDLE})
    _fetch(office, device, 2)
    assert device.key_set is not None
    answer = office.client.get(f"/v1/lists/deny/{wanted[WANTED_DENY_LIST]}")
    verify1(answer.content, TYP_LIST, CITY, make_verifier(device.key_set.points(keyset.ROLE_LIST)))
    assert parse(answer.content).kid == _keys(command).documents.kid
    _approve_and_run(office, command, "documents")
    assert len(_keys(command).signers("documents")) == 2, "nothing is signed by the first any more"


def test_a_key_set_is_renewed_by_an_ack_when_half_of_its_life_has_passed(office: Office, device: Device) -> None:
    receiver = Receiver(office.database, office.keys, office.clock)
    office.clock.at_ms += LIFE_S // 2 * 1000
    assert receiver.receive(device.message([])).is_ack
    assert _number(office) == 1
    office.clock.at_ms += 3_600_000
    receiver.receive(device.message([]))
    assert _number(office) == 2
    receiver.receive(device.message([]))
    assert _number(office) == 2
    _fetch(office, device, 2)


def test_a_newcomer_gets_a_set_that_is_good(office: Office) -> None:
    code = office.invite()
    office.clock.at_ms += LIFE_S * 1000
    with office.database.writing() as session:
        session.execute(update(Invitation).values(expires_at_ms=office.clock.now_ms() + 1))
    device = Device(seed=1)
    device.read_enrolled(office.client.post("/v1/enrolments", content=device.request_enrolment(code)).content, code)
    assert device.key_set is not None
    assert device.key_set.number == 2
    assert device.key_set.is_valid_at(office.clock.now_ms() // 1000)


def _number(office: Office) -> int:
    with office.database.reading() as session:
        newest = newest_key_set(session, CITY)
    assert newest is not None
    return newest.number


def test_migrating_renews_what_is_due_and_nothing_else(office: Office, command: Command) -> None:
    command.json("db", "migrate", *_AS_OF)
    assert _number(office) == 1
    command.json("db", "migrate", "--as-of", "2025-01-15")
    assert _number(office) == 2


def test_without_the_roots_a_set_that_is_due_is_not_renewed_and_said_so(
    office: Office, settings: Settings, command: Command
) -> None:
    (settings.home / "roots.json").unlink()
    assert command.json("keys", "show")["key_sets"][0]["roots_here"] is False
    assert command.run("db", "migrate", *_AS_OF)[0] == 0, "nothing is due"
    code, _, errors = command.run("db", "migrate", "--as-of", "2025-01-15")
    assert code == 5
    assert "roots.json" in errors
    assert _number(office) == 1


def test_other_roots_sign_nothing(office: Office, keys_path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    open_keys(other / "keys.json")
    shutil.copy(keys_path, other / "keys.json")
    stranger = open_keys(other / "keys.json")
    with pytest.raises(ConflictError, match="other roots"), office.database.writing() as session:
        keep_key_set(session, stranger, CITY, NOW_MS + LIFE_S * 1000)


def test_an_installation_without_roots_gets_them_with_its_first_set(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "old"
    home.mkdir(mode=0o700)
    shutil.copy(command.home / "keys.json", home)
    old = type(command)(home, f"sqlite:///{home / 'jolaqy.db'}")
    assert old.run("keys", "show")[0] == 1
    old.json("db", "migrate")
    assert [each["number"] for each in old.json("keys", "show")["key_sets"]] == [1]
    assert len(json.loads((home / "roots.json").read_text())["roots"]) == 3
    assert (home / "roots.json").stat().st_mode & 0o777 == 0o600


def test_who_was_silent_for_long_does_not_hold_up_a_rotation(office: Office, device: Device, command: Command) -> None:
    old = _signer_of_acks(office, device)
    late = "--as-of", "2024-12-01"
    assert office.clock.now_ms() + SILENT_MS < 1_733_011_200_000
    command.run("keys", "rotate", "ack", *late)
    number = office.client.get("/v1/approvals").json()["approvals"][-1]["id"]
    with office.database.writing() as session:
        token = issue_token(session, "second", "person", [Scope("approver")], NOW_MS)
    bearer = {"authorization": f"Bearer {token}"}
    office.client.post(f"/v1/approvals/{number}/decision", json={"approve": True}, headers=bearer)
    assert command.json("keys", "rotate", "ack", *late)["key_sets"] == {CITY: 2}
    assert command.run("keys", "rotate", "ack", *late)[0] == 1
    number += 1
    office.client.post(f"/v1/approvals/{number}/decision", json={"approve": True}, headers=bearer)
    command.json("keys", "rotate", "ack", *late)
    assert old.hex() not in {kid for kid, _ in command.json("keys", "show")["key_sets"][0]["ack_kids"]}
