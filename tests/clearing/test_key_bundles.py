"""Secret keys for the next days: each validator opens its own, every day, as long as it is trusted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from clearing.access.roles import Scope
from clearing.access.service import issue_token, local_caller
from clearing.endpoint import ConflictError
from clearing.fleet.key_bundles import DAY_MS, roll_over, secret_keys
from clearing.fleet.keys import Aes, open_keys
from clearing.fleet.models import IssuedKeyBundle
from protocol.ack import WANTED_KEY_BUNDLE
from protocol.compat import hmac_sha256
from protocol.cose import TYP_KEY_BUNDLE, ec2_point, verify1
from protocol.enrolment import KeyBundle, decode_key_bundle
from protocol.errors import EnrolmentError
from protocol.key_bundle import decode_wrapped_bundle
from protocol.keyset import ROLE_TICKET
from protocol.keywrap import unwrap
from tests.builders import NOW_S, Device, Office, make_verifier

if TYPE_CHECKING:
    from pathlib import Path

    from httpx import Response

    from clearing.settings import Settings
    from tests.clearing.command import Command

_TODAY = NOW_S // 86_400


def _fetch(office: Office, device: Device, number: int) -> Response:
    return office.client.get(f"/v1/key-bundles/{device.id.hex()}/{number}")


def _open(device: Device, message: bytes) -> KeyBundle:
    """Take a bundle as a validator does."""
    assert device.key_set is not None
    verifier = make_verifier(device.key_set.points(ROLE_TICKET))
    bundle = decode_wrapped_bundle(verify1(message, TYP_KEY_BUNDLE, device.audience, verifier))
    assert bundle.is_for(device.id, device.epoch, 0)
    assert bundle.ephemeral is not None
    x, y = (int.from_bytes(each, "big") for each in ec2_point(bundle.ephemeral))
    private = ec.derive_private_key(int.from_bytes(device.private, "big"), ec.SECP256R1())
    agreed_x = private.exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    return decode_key_bundle(unwrap(Aes(), bundle.agreed_key(agreed_x), bundle.wrapped))


def _wanted(office: Office, device: Device) -> int | None:
    return (office.send(device, device.message([])).wanted or {}).get(WANTED_KEY_BUNDLE)


def test_every_day_brings_the_keys_of_three_days(office: Office, device: Device) -> None:
    for day in range(5):
        number = _wanted(office, device)
        assert number == _TODAY + day
        bundle = _open(device, _fetch(office, device, number).content)
        assert sorted(bundle.qr_day_keys) == [number, number + 1, number + 2]
        key = hmac_sha256(office.keys.qr_master, b"day" + (number + 2).to_bytes(4, "big"))
        assert bundle.qr_day_keys[number + 2] == key
        assert (bundle.token_key, bundle.transit_read) == (office.keys.token_key, office.keys.transit_read_master)
        office.clock.at_ms += DAY_MS
    assert office.count(IssuedKeyBundle) == 2, "only yesterday's is kept beside today's"


def test_while_cards_go_over_to_new_keys_a_bundle_has_both_generations(tmp_path: Path) -> None:
    store = open_keys(tmp_path / "keys.json")
    before = store.transit_masters()
    assert secret_keys(store, _TODAY, "almaty", "A-101").earlier is None
    store.roll_transit_keys()
    bundle = decode_key_bundle(secret_keys(store, _TODAY, "almaty", "A-101").encode())
    assert bundle.earlier is not None
    assert (bundle.earlier.newer, bundle.earlier.version) == (2, 1)
    assert (bundle.earlier.transit_read, bundle.earlier.transit_debit) == (
        before["transit_read_master"],
        before["transit_debit_master"],
    )
    assert bundle.transit_debit == store.transit_debit_master != before["transit_debit_master"]


def test_a_day_has_one_message(office: Office, device: Device) -> None:
    first, again = (_fetch(office, device, _TODAY).content for _ in range(2))
    assert first == again
    office.clock.at_ms += DAY_MS
    assert _fetch(office, device, _TODAY).content == first, "it was asked for just before midnight"
    office.clock.at_ms += DAY_MS
    assert _fetch(office, device, _TODAY).status_code == 404


@pytest.mark.parametrize("number", [_TODAY - 1, _TODAY + 1, 0, 1 << 70])
def test_no_keys_of_another_day_are_given(office: Office, device: Device, number: int) -> None:
    assert _fetch(office, device, number).status_code in {404, 422}
    assert office.count(IssuedKeyBundle) == 0


def test_nobody_else_opens_it(office: Office, device: Device) -> None:
    message = _fetch(office, device, _TODAY).content
    device.private = hashlib.sha256(b"thief").digest()
    with pytest.raises(EnrolmentError):
        _open(device, message)


def test_a_validator_that_is_not_trusted_gets_none(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    device.head = bytes(32)
    office.send(device, device.message([device.record()]))
    assert office.validator(device).status == "quarantined"
    assert _fetch(office, device, _TODAY).status_code == 404
    assert _wanted(office, device) is None
    office.client.post(f"/v1/validators/{device.id.hex()}/revocation")
    assert _fetch(office, device, _TODAY).status_code == 404


def test_a_validator_nobody_knows_gets_none(office: Office) -> None:
    assert _fetch(office, Device(seed=9), _TODAY).status_code == 404
    assert office.client.get(f"/v1/key-bundles/xyz/{_TODAY}").status_code == 422


def test_who_enrols_again_gets_one_for_the_new_epoch(office: Office, device: Device) -> None:
    before = _fetch(office, device, _TODAY).content
    office.enrol(device)
    after = _fetch(office, device, _TODAY).content
    assert after != before
    assert _TODAY in _open(device, after).qr_day_keys


def test_cards_go_over_to_new_keys_when_two_persons_say_so(
    office: Office, command: Command, settings: Settings
) -> None:
    for arguments, version, earlier in (((), 2, 1), (("--forget",), 2, None)):
        assert command.run("keys", "roll-over", *arguments)[0] == 1
        number = office.client.get("/v1/approvals").json()["approvals"][-1]["id"]
        with office.database.writing() as session:
            token = issue_token(session, f"second {len(arguments)}", "person", [Scope("approver")], NOW_S * 1000)
        header = {"authorization": f"Bearer {token}"}
        office.client.post(f"/v1/approvals/{number}/decision", json={"approve": True}, headers=header)
        answer = command.json("keys", "roll-over", *arguments)
        assert (answer["version"], answer["earlier"]) == (version, earlier)
        stored = open_keys(settings.keys_path)
        assert (stored.transit_version, stored.transit_earlier is None) == (version, earlier is None)


def test_a_roll_over_is_begun_once_and_ended_once(office: Office, tmp_path: Path) -> None:
    store = open_keys(tmp_path / "keys.json")
    with office.database.writing() as session:
        caller = local_caller(session)
        assert caller is not None
        with pytest.raises(ConflictError, match="no cards"):
            roll_over(session, store, caller, 1, forget=True)
        roll_over(session, store, caller, 1, forget=False)
        with pytest.raises(ConflictError, match="already"):
            roll_over(session, store, caller, 1, forget=False)
        roll_over(session, store, caller, 1, forget=True)
    assert (store.transit_version, store.transit_earlier) == (2, None)
