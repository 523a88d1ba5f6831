"""Messages by channels are signed by their sender, now, as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.access.roles import Scope
from clearing.access.service import issue_token
from clearing.channels.models import SmsPayment
from clearing.channels.senders import issue_key, revoke_key
from clearing.channels.signatures import read_request
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.fleet.keys import Es256Signer
from tests.builders import CITY, NOW_MS, NOW_S, Office
from tests.clearing.senders import local, make_sender

if TYPE_CHECKING:
    from simulator.counterparties.party import Sender
    from tests.clearing.command import Command

_SMS = {"reference": "R-1", "msisdn": "77011234567", "text": "A-101", "sent_at_s": NOW_S}


def test_a_signed_message_is_taken(office: Office) -> None:
    status, answer = make_sender(office, "tele2", "aggregator").post("/v1/sms", _SMS)
    assert (status, answer["status"]) == (200, "paid")


def test_a_message_without_signature_is_refused(office: Office) -> None:
    status, answer = make_sender(office, "tele2", "aggregator", signed=False).post("/v1/sms", _SMS)
    assert (status, answer["error"]["code"]) == (401, "signature")
    assert office.count(SmsPayment) == 0


def test_a_signature_counts_for_five_minutes(office: Office) -> None:
    sender = make_sender(office, "tele2", "aggregator")
    request = _signed(sender, office)
    for ahead_s, status in ((301, 401), (-301, 401), (300, 200), (0, 200)):
        office.clock.at_ms = NOW_MS + ahead_s * 1000
        assert office.client.post("/v1/sms", **request).status_code == status, ahead_s
    assert office.count(SmsPayment) == 1, "the same message again is the same message"


@pytest.mark.parametrize("header", ["x-jolaqy-key", "x-jolaqy-time", "x-jolaqy-signature"])
@pytest.mark.parametrize("value", ["", "1", "-1", "٣", "9" * 40, "zz", "00" * 32])
def test_nothing_of_the_headers_can_be_changed(office: Office, header: str, value: str) -> None:
    request = _signed(make_sender(office, "tele2", "aggregator"), office)
    request["headers"][header] = value.encode()
    is_same = header == "x-jolaqy-key" and value == "1"
    assert office.client.post("/v1/sms", **request).status_code == (200 if is_same else 401)


def test_nothing_of_the_body_can_be_changed_nor_sent_elsewhere(office: Office) -> None:
    sender = make_sender(office, "tele2", "aggregator")
    request = _signed(sender, office)
    changed = request | {"content": request["content"].replace(b"A-101", b"A-102")}
    assert office.client.post("/v1/sms", **changed).status_code == 401
    for key, value in (("secret", b"x" * 32), ("key", 99)):
        setattr(sender, f"_{key}", value)
        assert sender.post("/v1/sms", _SMS)[0] == 401


def test_the_key_of_somebody_else_and_a_revoked_one_sign_nothing(office: Office) -> None:
    sender, other = make_sender(office, "tele2", "aggregator"), make_sender(office, "kcell", "aggregator")
    other._token = sender._token
    assert other.post("/v1/sms", _SMS)[0] == 401
    with office.database.writing() as session:
        revoke_key(session, local(session), NOW_MS, sender._key)
    assert sender.post("/v1/sms", _SMS)[0] == 401
    with pytest.raises(ConflictError), office.database.writing() as session:
        revoke_key(session, local(session), NOW_MS, sender._key)


def test_a_sender_may_sign_with_a_key_of_its_own(office: Office) -> None:
    signer = Es256Signer(b"\7" * 32)
    with office.database.writing() as session:
        token = issue_token(session, "tele2", "service", [Scope("aggregator", CITY)], NOW_MS)
        number = issue_key(session, local(session), NOW_MS, "tele2", (signer.x + signer.y).hex()).id
    content = json.dumps(_SMS).encode()
    signature = signer.sign(f"JOLAQY channel/1\nPOST /v1/sms\n{number}\n{NOW_S}\n".encode() + content)
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {token}",
        "x-jolaqy-key": str(number),
        "x-jolaqy-time": str(NOW_S),
    }
    for shown, status in ((signature.hex(), 200), ((signature[:-1] + b"\0").hex(), 401), (signature[:32].hex(), 401)):
        answer = office.client.post("/v1/sms", content=content, headers=headers | {"x-jolaqy-signature": shown})
        assert answer.status_code == status


@pytest.mark.parametrize("public", ["00" * 64, "zz", "ff" * 64])
def test_what_is_no_public_key_is_refused(office: Office, public: str) -> None:
    with office.database.writing() as session:
        issue_token(session, "tele2", "service", [Scope("aggregator", CITY)], NOW_MS)
        with pytest.raises(InvalidError):
            issue_key(session, local(session), NOW_MS, "tele2", public)
        with pytest.raises(NotFoundError):
            issue_key(session, local(session), NOW_MS, "nobody")


def test_keys_are_managed_over_http_and_by_command(office: Office, command: Command) -> None:
    make_sender(office, "tele2", "aggregator", signed=False)
    given_key = office.client.post("/v1/channel-keys", json={"name": "tele2"}).json()
    assert len(given_key["secret"]) == 64
    issued = command.json("channels", "issue-key", "tele2")
    assert issued["secret"] not in {given_key["secret"], None}
    listed = office.client.get("/v1/channel-keys").json()["keys"]
    assert listed == command.json("channels", "keys")["keys"]
    assert given_key["secret"] not in str(listed)
    assert office.client.delete(f"/v1/channel-keys/{given_key['number']}").status_code == 200
    assert command.run("channels", "revoke-key", str(issued["number"]))[0] == 0
    assert command.run("channels", "revoke-key", "77")[0] == 3


def _signed(sender: Sender, office: Office) -> dict[str, Any]:
    """A request as the sender would make it."""
    content = json.dumps(_SMS).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {sender._token}"}
    assert office.clock.now_ms() == NOW_MS
    return {"content": content, "headers": headers | sender._signature("/v1/sms", content)}


@given(st.tuples(*[st.text(max_size=40)] * 3), st.binary(max_size=40))
def test_any_headers_are_read(headers: tuple[str, str, str], body: bytes) -> None:
    request = read_request("POST", "/v1/sms", body, *headers)
    assert request.signed_bytes().endswith(body)
