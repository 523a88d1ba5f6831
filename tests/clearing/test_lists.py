"""Lists of media reach every validator: in parts when they are long, as changes where little has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from clearing.access.roles import Caller
from clearing.endpoint import InvalidError
from clearing.fleet.documents import DENY_LIST
from clearing.fleet.kept_lists import NUMBERS_KEPT
from clearing.fleet.lists import ListChange, change_list, issue_list, sign_whole, whole_is_due
from clearing.fleet.models import DocumentDelta, DocumentPart, SignedDocument
from clearing.media.models import DenyEntry
from clearing.media.service import add_to_list, issue_lists
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
    from collections.abc import Callable, Iterable

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


def _long_list(office: Office, device: Device) -> MediumList:
    """Put more onto the list than a message holds, and return it."""
    with office.database.writing() as session:
        _fill(session, 2 * LIST_PART_ENTRIES_MAX)
        issue_lists(session, office.keys, CITY, office.clock.now_ms())
    return _fetch(office, device, (office.send(device, device.message([])).wanted or {})[WANTED_DENY_LIST])


def test_on_a_long_list_a_denial_signs_its_change_alone_and_reaches_every_bus_at_once(
    office: Office, device: Device
) -> None:
    before = _fetch(office, device, _deny(office, [0]))
    whole = _long_list(office, device)
    parts = office.count(DocumentPart)
    numbers = [_deny(office, [number]) for number in (1, 2, 3)]
    assert numbers == [whole.number + 1, whole.number + 2, whole.number + 3]
    assert office.count(DocumentPart) == parts, "nothing was signed whole"
    assert (office.send(device, device.message([])).wanted or {})[WANTED_DENY_LIST] == numbers[-1]
    listed = _change(office, device, whole, numbers[0])
    assert listed.holds(make_token(1))
    assert not listed.holds(make_token(2))
    for held in (whole, listed):
        newest = _change(office, device, held, numbers[-1])
        assert len(newest) == len(whole) + 3
        assert newest.holds(make_token(3))
    assert office.client.get(f"/v1/lists/deny/{numbers[-1]}/from/{before.number}").status_code == 404


def test_who_needs_a_changed_list_whole_is_given_one_from_which_the_change_leads_on(
    office: Office, device: Device
) -> None:
    whole = _long_list(office, device)
    number = _deny(office, [1])
    given = _fetch(office, device, number)
    assert (given.number, bytes(given.entries)) == (whole.number, bytes(whole.entries))
    assert _change(office, device, given, number).holds(make_token(1))


def test_on_a_long_list_who_is_taken_off_rides_again_and_what_is_no_change_has_no_number(
    office: Office, device: Device
) -> None:
    whole = _long_list(office, device)
    number = _deny(office, [1])
    assert _deny(office, [1]) == number
    tokens = [make_token(1).hex(), (7).to_bytes(8, "big").hex() * 2]
    removed = office.client.post("/v1/lists/deny/removals", json={"city": CITY, "tokens": tokens}).json()["number"]
    listed = _change(office, device, whole, removed)
    assert len(listed) == len(whole) - 1
    assert not listed.holds(make_token(1))
    assert not listed.holds((7).to_bytes(8, "big") * 2)


def test_after_some_changes_a_long_list_is_signed_whole_again_under_the_number_that_it_has(
    office: Office, device: Device
) -> None:
    whole = _long_list(office, device)
    given, number = whole, whole.number
    while given.number == whole.number:
        assert number < whole.number + NUMBERS_KEPT
        number = _deny(office, [number])
        given = _fetch(office, device, number)
    assert given.number == number
    assert bytes(given.entries) == bytes(_change(office, device, whole, number).entries)
    with office.database.reading() as session:
        assert whole_is_due(session, DENY_LIST, CITY) is None
    for more in range(NUMBERS_KEPT):
        number = _deny(office, [1000 + more])
    assert office.client.get(f"/v1/lists/deny/{whole.number}").status_code == 404, "what nobody needs is forgotten"
    newest = _fetch(office, device, number)
    assert number == newest.number or len(_change(office, device, newest, number)) == len(given) + NUMBERS_KEPT


def test_many_denials_at_once_are_signed_whole_afterwards_and_too_many_at_once(office: Office, device: Device) -> None:
    whole = _long_list(office, device)
    many = _deny(office, range(600))
    assert _fetch(office, device, many).number == many
    assert len(_change(office, device, whole, many)) == len(whole) + 600
    with office.database.writing() as session:
        tokens = [make_token(number) for number in range(1000, 1001 + LIST_DELTA_ENTRIES_MAX)]
        caller = Caller("bench", "bench", ())
        number = add_to_list(session, office.keys, caller, office.clock.now_ms(), DENY_LIST, CITY, tokens, "lost")
    listed = _fetch(office, device, number)
    assert (listed.number, len(listed)) == (number, len(whole) + 600 + len(tokens))


def test_a_bus_that_could_not_be_led_on_finds_the_list_whole(office: Office, device: Device) -> None:
    """Since the whole list little has changed, since the number after it more than a message can say."""
    whole = _long_list(office, device)
    fresh = [make_token(number) for number in range(600)]
    listed = [number.to_bytes(8, "big") * 2 for number in range(500)]
    given = []
    for added, removed in ((fresh, []), ([], fresh), ([], listed)):
        change = ListChange(added, removed, tuple)
        with office.database.writing() as session:
            number = change_list(session, office.keys, DENY_LIST, CITY, change, office.clock.now_ms())
        given.append(_fetch(office, device, number).number)
    assert given == [whole.number, whole.number, whole.number + 3]
    assert len(_fetch(office, device, whole.number + 3)) == len(whole) - 500


def test_a_long_list_that_is_half_a_year_old_is_signed_whole_with_the_next_denial(
    office: Office, device: Device
) -> None:
    whole = _long_list(office, device)
    office.clock.at_ms += _YEAR_MS // 2 + 1000
    number = _deny(office, [1])
    listed = _fetch(office, device, number)
    assert (listed.number, len(listed)) == (number, len(whole) + 1)


def test_who_denies_while_a_list_is_signed_whole_loses_nothing(office: Office, device: Device) -> None:
    whole = _long_list(office, device)
    with office.database.writing() as session:
        caller = Caller("bench", "bench", ())
        tokens = [make_token(number) for number in range(700)]
        first = add_to_list(session, office.keys, caller, office.clock.now_ms(), DENY_LIST, CITY, tokens, "lost")
    with office.database.reading() as session:
        assert whole_is_due(session, DENY_LIST, CITY) is not None
    keys = _KeysThatWait(office, lambda: _deny_quietly(office, 5000))
    assert sign_whole(office.database, keys, DENY_LIST, CITY)  # type: ignore[arg-type]
    assert _fetch(office, device, first).number == first
    newest = (office.send(device, device.message([])).wanted or {})[WANTED_DENY_LIST]
    assert newest == first + 1
    assert len(_change(office, device, _fetch(office, device, first), newest)) == len(whole) + 701
    assert sign_whole(office.database, office.keys, DENY_LIST, CITY)
    assert not sign_whole(office.database, office.keys, DENY_LIST, CITY)


class _KeysThatWait:
    """The keys, which let something happen while they are asked for."""

    def __init__(self, office: Office, happen: Callable[[], None]) -> None:
        self._keys = office.keys
        self._happen = happen

    def reload(self) -> None:
        self._happen()
        self._keys.reload()

    @property
    def documents(self) -> object:
        return self._keys.documents


def _deny_quietly(office: Office, number: int) -> None:
    """Deny without what comes afterwards."""
    with office.database.writing() as session:
        caller = Caller("bench", "bench", ())
        now_ms = office.clock.now_ms()
        add_to_list(session, office.keys, caller, now_ms, DENY_LIST, CITY, [make_token(number)], "lost")


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
