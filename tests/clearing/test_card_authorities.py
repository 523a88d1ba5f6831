"""The authorities of bank cards: how operators replace them, how validators get them, and how a document stays good."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from clearing.fleet.card_authorities import renew_card_authorities
from clearing.fleet.documents import wanted_versions
from clearing.fleet.keys import OneKeyVerifier
from protocol.ack import WANTED_CA_KEYS
from protocol.card_authorities import CardAuthorities, decode_card_authorities
from protocol.cose import TYP_CARD_AUTHORITIES, verify1
from tests.builders import CITY, NOW_MS, NOW_S

if TYPE_CHECKING:
    from tests.builders import Office

_YEAR_MS = 365 * 86_400_000
_MODULUS = "c1" * 143 + "01"
_KEY = {"rid": "A000000003", "index": 153, "modulus": _MODULUS, "exponent": 3, "expires_yymm": "3112"}
_REVOKED = "A00000000399000007"


def _post(office: Office, **changes: Any) -> Any:  # noqa: ANN401
    return office.client.post("/v1/card-authorities", json={"city": CITY, "keys": [_KEY]} | changes)


def _wanted(office: Office) -> int:
    with office.database.reading() as session:
        return wanted_versions(session, CITY, NOW_S).get(WANTED_CA_KEYS, 0)


def _fetch(office: Office, number: int) -> CardAuthorities:
    signer = office.keys.documents
    answer = office.client.get(f"/v1/card-authorities/{number}")
    verifier = OneKeyVerifier(signer.kid, signer.x, signer.y)
    return decode_card_authorities(verify1(answer.content, TYP_CARD_AUTHORITIES, CITY, verifier))


def test_a_city_without_a_list_wants_none(office: Office) -> None:
    assert _wanted(office) == 0
    assert office.client.get("/v1/card-authorities/1").status_code == 404


def test_what_is_posted_is_signed_wanted_and_fetched(office: Office) -> None:
    other = _KEY | {"rid": "A000000004", "index": 241, "exponent": 65537}
    answer = _post(office, keys=[other, _KEY], revoked=[_REVOKED])
    assert answer.json() == {"city": CITY, "number": 1, "keys": 2, "revoked": 1}
    assert _wanted(office) == 1
    found = _fetch(office, 1)
    assert [(key.rid.hex(), key.index, key.exponent) for key in found.keys] == [
        ("a000000003", 153, 3),
        ("a000000004", 241, 65537),
    ]
    assert found.keys[0].modulus.hex() == _MODULUS
    assert found.revoked.hex() == _REVOKED.lower()


def test_the_same_list_again_signs_nothing_new_and_another_one_does(office: Office) -> None:
    assert [_post(office).json()["number"] for _ in range(2)] == [1, 1]
    assert _post(office, revoked=[_REVOKED]).json()["number"] == _wanted(office) == 2


def test_a_modulus_that_was_mistyped_is_noticed_by_its_published_hash(office: Office) -> None:
    published = hashlib.sha1(bytes.fromhex("A000000003" + "99" + _MODULUS + "03")).hexdigest()  # noqa: S324
    assert _post(office, keys=[_KEY | {"sha1": published}]).status_code == 200
    refused = _post(office, keys=[_KEY | {"sha1": published, "modulus": "c2" + _MODULUS[2:]}])
    assert refused.status_code == 422
    assert "mistyped" in refused.json()["error"]["remedy"]


@pytest.mark.parametrize(
    "changes",
    [
        {"keys": []},
        {"keys": [_KEY, _KEY]},
        {"keys": [_KEY | {"exponent": 5}]},
        {"keys": [_KEY | {"expires_yymm": "3113"}]},
        {"keys": [_KEY | {"modulus": _MODULUS[1:]}]},
        {"keys": [_KEY | {"modulus": "00" + _MODULUS[2:]}]},
        {"keys": [_KEY | {"rid": "A0"}]},
        {"revoked": ["A0"]},
    ],
)
def test_what_is_no_list_is_refused(office: Office, changes: dict[str, Any]) -> None:
    assert _post(office, **changes).status_code == 422
    assert _wanted(office) == 0


def test_a_list_is_signed_anew_when_half_of_its_life_has_passed(office: Office) -> None:
    _post(office, revoked=[_REVOKED])
    for later_ms, number in ((0, 1), (_YEAR_MS // 4, 1), (_YEAR_MS * 3 // 4, 2)):
        with office.database.writing() as session:
            renew_card_authorities(session, office.keys, CITY, NOW_MS + later_ms)
        with office.database.reading() as session:
            assert wanted_versions(session, CITY, NOW_S + later_ms // 1000)[WANTED_CA_KEYS] == number
    renewed = _fetch(office, 2)
    assert renewed.revoked.hex() == _REVOKED.lower()
    assert renewed.expires_s > _fetch(office, 1).expires_s


def test_a_city_that_has_no_list_is_renewed_none(office: Office) -> None:
    with office.database.writing() as session:
        renew_card_authorities(session, office.keys, CITY, NOW_MS)
    assert _wanted(office) == 0
