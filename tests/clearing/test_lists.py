"""Lists of media reach every validator: in parts when they are long, as changes where little has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from clearing.endpoint import InvalidError
from clearing.fleet.documents import DENY_LIST
from clearing.fleet.lists import NUMBERS_KEPT, issue_list
from clearing.fleet.models import DocumentDelta, DocumentPart, SignedDocument
from clearing.media.models import DenyEntry
from clearing.media.service import issue_lists
from protocol.ack import WANTED_ALLOW_LIST, WANTED_DENY_LIST
from protocol.cose import TYP_LIST, TYP_LIST_DELTA, verify1
from protocol.keyset import ROLE_LIST
from protocol.limits import LIST_DELTA_ENTRIES_MAX, LIST_ENTRIES_MAX, LIST_PART_ENTRIES_MAX
from protocol.list_delta import apply_delta, decode_delta
from protocol.medium_list import (
    LIST_ALLOW,
    LIST_DENY,
    ListPart,
    MediumList,
    decode_list,
    decode_list_part,
    join_parts,
)
from tests.builders import CITY, Device, Office, make_token, make_verifier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

_YEAR_MS = 365 * 86_400_000


def _verify(device: Device, message: bytes, typ: str) -> bytes:
    assert device.key_set is not None
    return verify1(message, typ, device.audience, make_verifier(device.key_set.points(ROLE_LIST)))


def _deny(office: Office, numbers: Iterable[int]) -> int:
    tokens = [make_token(number).hex() for number in numbers]
    for start in range(0, len(tokens), 1000):
        some = tokens[start : start + 1000]
        answer = office.client.post("/v1/lists/deny", json={"city": CITY, "tokens": some})
        assert answer.status_code == 200, answer.text
    return int(answer.json()["number"])


def _fetch(office: Office, device: Device, number: int) -> MediumList:
    """Fetch a list whole, as a validator does."""
    path = f"/v1/lists/deny/{number}"
    parts: list[ListPart] = []
    first = decode_list_part(_verify(device, office.client.get(path).content, TYP_LIST), LIST_DENY)
    for part in range(1, first.parts + 1):
        message = office.client.get(f"{path}/{part}" if part > 1 else path).content
        parts.append(decode_list_part(_verify(device, message, TYP_LIST), LIST_DENY))
    return join_parts(parts)


def _change(office: Office, device: Device, held: MediumList, number: int) -> MediumList:
    """Bring a list up to date by what has changed."""
    answer = office.client.get(f"/v1/lists/deny/{number}/from/{held.number}")
    assert answer.status_code == 200
    return apply_delta(held, decode_delta(_verify(device, answer.content, TYP_LIST_DELTA)))


def test_what_changed_leads_from_every_kept_number_to_the_list_in_force(office: Office, device: Device) -> None:
    held = [_fetch(office, device, _deny(office, [number])) for number in range(4)]
    tokens = [make_token(1).hex()]
    answer = office.client.post("/v1/lists/deny/removals", json={"city": CITY, "tokens": tokens})
    newest = _fetch(office, device, answer.json()["number"])
    assert len(newest) == 3
    for each in held:
        assert bytes(_change(office, device, each, newest.number).entries) == bytes(newest.entries)
    assert not newest.holds(make_token(1))


def test_a_long_list_comes_in_parts(office: Office, device: Device) -> None:
    short = _fetch(office, device, _deny(office, range(10)))
    with office.database.writing() as session:
        _fill(session, 2 * LIST_PART_ENTRIES_MAX - len(short))
    number = _deny(office, [10])
    listed = _fetch(office, device, number)
    assert len(listed) == 2 * LIST_PART_ENTRIES_MAX + 1
    assert (
        office.client.get(f"/v1/lists/deny/{number}/1").content == office.client.get(f"/v1/lists/deny/{number}").content
    )
    assert [office.client.get(f"/v1/lists/deny/{number}/{part}").status_code for part in (0, 4)] == [404, 404]
    assert office.client.get(f"/v1/lists/deny/{short.number}/1").status_code == 404, "a short one has no parts"
    changed = office.client.get(f"/v1/lists/deny/{number}/from/{short.number}")
    assert changed.status_code == 404, "too much has changed: it is fetched whole"
    one_more = _deny(office, [99_999])
    assert len(_change(office, device, listed, one_more)) == len(listed) + 1


def test_a_change_may_be_as_long_as_a_message_and_no_longer(office: Office, device: Device) -> None:
    held = _fetch(office, device, _deny(office, [0]))
    number = _deny(office, range(1, LIST_DELTA_ENTRIES_MAX + 1))
    assert len(_change(office, device, held, number)) == LIST_DELTA_ENTRIES_MAX + 1
    number = _deny(office, [LIST_DELTA_ENTRIES_MAX + 1])
    assert office.client.get(f"/v1/lists/deny/{number}/from/{held.number}").status_code == 404


def test_old_numbers_are_forgotten(office: Office, device: Device) -> None:
    first = _deny(office, [0])
    for number in range(1, NUMBERS_KEPT + 3):
        newest = _deny(office, [number])
    assert office.client.get(f"/v1/lists/deny/{first}").status_code == 404
    assert office.client.get(f"/v1/lists/deny/{newest}/from/{first}").status_code == 404
    with office.database.reading() as session:
        kept = session.query(SignedDocument).filter_by(kind=DENY_LIST).count()
    assert kept == NUMBERS_KEPT
    assert office.count(DocumentDelta) <= NUMBERS_KEPT * NUMBERS_KEPT
    assert office.count(DocumentPart) == 0
    assert len(_fetch(office, device, newest)) == NUMBERS_KEPT + 3


def test_a_list_longer_than_all_parts_is_refused_and_the_one_before_stays(office: Office, device: Device) -> None:
    number = _deny(office, [0])
    too_many = (each.to_bytes(8, "big") for each in range(LIST_ENTRIES_MAX + 1))
    with office.database.writing() as session, pytest.raises(InvalidError, match=str(LIST_ENTRIES_MAX)):
        issue_list(session, office.keys, DENY_LIST, CITY, too_many, office.clock.now_ms())
    assert (office.send(device, device.message([])).wanted or {})[WANTED_DENY_LIST] == number


def _fill(session: Session, count: int) -> None:
    row = {"city": CITY, "reason": "reported", "added_at_ms": 0, "removed_at_ms": None}
    session.execute(insert(DenyEntry), [row | {"token": number.to_bytes(8, "big") * 2} for number in range(count)])


def test_an_allow_list_is_wanted_when_a_city_has_one(office: Office, device: Device) -> None:
    assert WANTED_ALLOW_LIST not in (office.send(device, device.message([])).wanted or {})
    tokens = [make_token(number).hex() for number in range(3)]
    answer = office.client.post("/v1/lists/allow", json={"city": CITY, "tokens": tokens, "reason": "pilot"})
    first = answer.json()["number"]
    wanted = office.send(device, device.message([])).wanted or {}
    assert wanted[WANTED_ALLOW_LIST] == first
    message = office.client.get(f"/v1/lists/allow/{first}").content
    listed = decode_list(_verify(device, message, TYP_LIST), LIST_ALLOW)
    removed = office.client.post("/v1/lists/allow/removals", json={"city": CITY, "tokens": tokens[:1]}).json()["number"]
    changed = office.client.get(f"/v1/lists/allow/{removed}/from/{first}").content
    assert len(apply_delta(listed, decode_delta(_verify(device, changed, TYP_LIST_DELTA), LIST_ALLOW))) == 2
    assert office.client.get(f"/v1/lists/allow/{removed}/1").status_code == 404


def test_a_list_that_nobody_changes_is_signed_anew_before_it_expires(office: Office, device: Device) -> None:
    number = _deny(office, [0])
    for later_ms, expected in ((_YEAR_MS // 2 - 1000, number), (_YEAR_MS // 2 + 1000, number + 1)):
        with office.database.writing() as session:
            issue_lists(session, office.keys, CITY, office.clock.now_ms() + later_ms)
        listed = _fetch(office, device, expected)
        assert listed.holds(make_token(0))
    assert office.client.get(f"/v1/lists/deny/{number + 2}").status_code == 404


@pytest.mark.parametrize("kind", ["deny", "allow"])
@pytest.mark.parametrize("path", ["999", "1/2", "2/from/1", "1/from/0", "9999999999999999999"])
def test_what_is_not_there_is_not_found(office: Office, kind: str, path: str) -> None:
    assert office.client.get(f"/v1/lists/{kind}/{path}").status_code in {404, 422}
