from __future__ import annotations

import pytest

from clearing.fleet.documents import issue_fare_tables, wanted_versions
from clearing.fleet.keys import OneKeyVerifier
from clearing.network.service_day import day_start_s
from protocol.ack import WANTED_DENY_LIST, WANTED_FARE_TABLE
from protocol.cose import TYP_FARE_TABLE, TYP_LIST, verify1
from protocol.fare_table import FareTable, decode_fare_table
from protocol.medium_list import MediumList, decode_list
from protocol.tap import MEDIUM_BANK_CARD, MEDIUM_CASH, MEDIUM_TRANSPORT_CARD
from tests.builders import CITY, NOW_MS, NOW_S, Device, Office, make_token

_ZONE = "Asia/Almaty"


def _verifier(office: Office) -> OneKeyVerifier:
    signer = office.keys.documents
    return OneKeyVerifier(signer.kid, signer.x, signer.y)


def _fare_table(office: Office, number: int) -> FareTable:
    answer = office.client.get(f"/v1/fare-tables/{number}")
    assert answer.headers["content-type"] == "application/cose"
    return decode_fare_table(verify1(answer.content, TYP_FARE_TABLE, CITY, _verifier(office)))


def _deny_list(office: Office, number: int) -> MediumList:
    answer = office.client.get(f"/v1/lists/deny/{number}")
    return decode_list(verify1(answer.content, TYP_LIST, CITY, _verifier(office)))


def _wanted(office: Office, now_s: int = NOW_S) -> dict[int, int]:
    with office.database.reading() as session:
        return wanted_versions(session, CITY, now_s)


def test_the_fare_table_of_the_day_has_its_prices(office: Office) -> None:
    table = _fare_table(office, _wanted(office)[WANTED_FARE_TABLE])
    assert table.city == 1
    assert table.fare_minor(MEDIUM_CASH, 1) == 20_000
    assert table.fare_minor(MEDIUM_TRANSPORT_CARD, 1) == 10_000
    assert table.fare_minor(MEDIUM_TRANSPORT_CARD, 2) == 5_000
    assert table.fare_minor(MEDIUM_TRANSPORT_CARD, 5) == 0
    assert table.fare_minor(MEDIUM_BANK_CARD, 2) is None
    assert table.is_valid_at(NOW_S)


def test_the_next_tariff_is_wanted_from_its_first_service_day(office: Office) -> None:
    starts_s = day_start_s(_ZONE, "2024-08-03")
    before = _fare_table(office, _wanted(office, starts_s - 1)[WANTED_FARE_TABLE])
    after = _fare_table(office, _wanted(office, starts_s)[WANTED_FARE_TABLE])
    assert before.expires_s == after.valid_from_s == starts_s
    assert after.fare_minor(MEDIUM_CASH, 1) is None
    assert after.fare_minor(MEDIUM_TRANSPORT_CARD, 1) == 12_000


def test_issuing_again_signs_nothing_new(office: Office) -> None:
    with office.database.writing() as session:
        first = issue_fare_tables(session, office.keys, CITY, NOW_MS)
        assert issue_fare_tables(session, office.keys, CITY, NOW_MS + 1) == first
    assert len(first) == 2


def test_a_denied_medium_is_on_the_next_list_and_off_again(office: Office, device: Device) -> None:
    assert len(_deny_list(office, _wanted(office)[WANTED_DENY_LIST])) == 0
    tokens = [make_token(number).hex() for number in range(3)]
    answer = office.client.post("/v1/lists/deny", json={"city": CITY, "tokens": tokens, "reason": "stolen"})
    ack = office.send(device, device.message([]))
    assert ack.wanted is not None
    assert ack.wanted[WANTED_DENY_LIST] == answer.json()["number"]
    listed = _deny_list(office, answer.json()["number"])
    assert listed.holds(make_token(1))
    assert not listed.holds(make_token(9))
    removed = office.client.post("/v1/lists/deny/removals", json={"city": CITY, "tokens": tokens[1:2]}).json()
    assert removed["number"] > answer.json()["number"]
    assert not _deny_list(office, removed["number"]).holds(make_token(1))
    assert listed.holds(make_token(1)), "a list once signed stays what it was"


def test_the_list_may_return_to_what_it_was(office: Office) -> None:
    empty = _wanted(office)[WANTED_DENY_LIST]
    tokens = [make_token(1).hex()]
    office.client.post("/v1/lists/deny", json={"city": CITY, "tokens": tokens})
    again = office.client.post("/v1/lists/deny/removals", json={"city": CITY, "tokens": tokens}).json()["number"]
    assert again != empty
    assert _wanted(office)[WANTED_DENY_LIST] == again


@pytest.mark.parametrize("token", ["", "12", "zz" * 16, "00" * 17])
def test_what_is_no_token_is_refused(office: Office, token: str) -> None:
    answer = office.client.post("/v1/lists/deny", json={"city": CITY, "tokens": [token]})
    assert answer.status_code == 422
    assert token not in answer.text or not token


@pytest.mark.parametrize("path", ["/v1/fare-tables/999", "/v1/lists/deny/999", "/v1/fare-tables/4294967296000"])
def test_a_document_that_is_not_there_is_not_found(office: Office, path: str) -> None:
    assert office.client.get(path).status_code == 404
