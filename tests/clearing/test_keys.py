from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from clearing.fleet.key_file import KeysError
from clearing.fleet.keys import Es256Signer, KeyStore, open_keys, verify_es256

if TYPE_CHECKING:
    from pathlib import Path

# RFC 6979, A.2.5: P-256, SHA-256, message "sample".
_PRIVATE = bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
_SIGNATURE = bytes.fromhex(
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
)


def test_signatures_are_those_of_rfc_6979() -> None:
    signer = Es256Signer(_PRIVATE)
    assert signer.sign(b"sample") == _SIGNATURE
    assert verify_es256(signer.x, signer.y, b"sample", _SIGNATURE)


@pytest.mark.parametrize("signature", [b"", bytes(64), _SIGNATURE[:-1], _SIGNATURE[:-1] + b"\0", b"\xff" * 64])
def test_a_signature_that_does_not_hold_is_refused(signature: bytes) -> None:
    signer = Es256Signer(_PRIVATE)
    assert not verify_es256(signer.x, signer.y, b"sample", signature)


def test_a_point_off_the_curve_verifies_nothing() -> None:
    assert not verify_es256(bytes(32), b"\x01" * 32, b"sample", _SIGNATURE)


def test_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first, second = open_keys(path), open_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.ack.kid == second.ack.kid != first.documents.kid
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["keys.json", "roots.json"]
    assert (tmp_path / "roots.json").stat().st_mode & 0o777 == 0o600
    assert KeyStore.__repr__ is object.__repr__, "a repr must show no key"


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    open_keys(path)
    path.chmod(0o644)
    with pytest.raises(KeysError, match="chmod 600"):
        open_keys(path)


@pytest.mark.parametrize("change", ["token_key", "ack_private"])
def test_a_damaged_key_file_is_named_without_showing_a_key(tmp_path: Path, change: str) -> None:
    path = tmp_path / "keys.json"
    open_keys(path)
    stored = json.loads(path.read_text())
    stored[change] = "not hexadecimal: 5ecret"
    path.write_text(json.dumps(stored))
    with pytest.raises(KeysError, match="damaged") as caught:
        open_keys(path)
    assert "5ecret" not in str(caught.value)
    assert caught.value.__cause__ is None


_TRANSIT = ("transit_application_master", "transit_read_master", "transit_debit_master", "transit_credit_master")


def test_a_file_that_is_older_than_a_key_gives_everybody_the_same_one(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    open_keys(path)
    stored = json.loads(path.read_text())
    later = ("transit_credit_master", "transit_application_master", "transit_card_master")
    for name in later:
        del stored[name]
    path.write_text(json.dumps(stored))
    first, second = open_keys(path).transit_masters(), open_keys(path).transit_masters()
    assert first == second
    assert len(set(first.values())) == 6
    assert path.read_text() == json.dumps(stored)


def test_transit_keys_are_rolled_over_and_the_generation_before_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    store = open_keys(tmp_path / "keys.json")
    other = open_keys(tmp_path / "keys.json")
    before, sealing_key = store.transit_masters(), store.sealing_key
    assert (store.transit_version, store.transit_earlier) == (1, None)
    store.roll_transit_keys()
    other.reload()
    for each in (store, other, open_keys(tmp_path / "keys.json")):
        now = each.transit_masters()
        assert each.transit_version == 2
        assert each.transit_earlier == (1, {name: before[name] for name in _TRANSIT})
        assert all(now[name] != before[name] for name in _TRANSIT)
        assert now["transit_mac_master"] == before["transit_mac_master"], "a card keeps it for its life"
        assert each.sealing_key == sealing_key
    store.forget_transit_keys()
    again = open_keys(tmp_path / "keys.json")
    assert (again.transit_version, again.transit_earlier) == (2, None)
    assert again.transit_masters() == store.transit_masters()
    assert before["transit_debit_master"].hex() not in (tmp_path / "keys.json").read_text()
