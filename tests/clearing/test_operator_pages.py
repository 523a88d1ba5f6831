"""The pages in which money is worked on: rides with their reasons, the books, parties, differences, bank cards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from clearing.access.roles import Scope
from clearing.access.service import issue_token
from clearing.dashboard.language import LANGUAGES
from clearing.reconciliation.breaks import Found, keep_in_step, show_break
from clearing.reconciliation.breaks import Scope as Looked
from clearing.settlement.waiting import waiting_days
from simulator.counterparties.acquirer import Acquirer
from tests.builders import CITY, DAY, NOW_MS, Device, Office
from tests.clearing import small_day
from tests.clearing.card_bench import CardBench
from tests.clearing.pages import ask, read, words
from tests.clearing.second_person import token_of
from tests.clearing.small_day import NEXT_MORNING_MS

if TYPE_CHECKING:
    import httpx

_BREAK = Found("acquirer", "acquirer", "acquirer/left_out/1", "unsettled", "left_out", "C-1", DAY, -12_000)


@pytest.fixture
def closed(office: Office) -> Office:
    small_day.play(office)
    small_day.close(office)
    return office


@pytest.fixture
def difference(office: Office) -> int:
    """The number of a break."""
    with office.database.writing() as session:
        keep_in_step(session, Looked(CITY, "acquirer", "acquirer", DAY, DAY), [_BREAK], NOW_MS)
    return 1


def _post(office: Office, path: str, token: str = "", **fields: str) -> httpx.Response:
    headers = {"accept": "text/html"} | ({"authorization": f"Bearer {token}"} if token else {})
    answer: httpx.Response = office.client.post(path, data=fields, headers=headers, follow_redirects=False)
    return answer


# Rides.


def test_every_ride_of_a_day_is_listed_with_its_reason_and_leads_to_its_derivation(closed: Office) -> None:
    answer = ask(closed, f"/rides?day={DAY}")
    links = re.findall(r'href="(/rides/(?:tap|sms)/[^"]+)"', answer.text)
    assert len(links) == len(closed.client.get("/v1/fares", params={"city": CITY, "day": DAY}).json()["fares"])
    for link in links:
        said = read(closed, link)
        assert "Why it costs that" in said
        assert f"close/{CITY}/{DAY}/1/" in said
        assert "₸" in said


def test_a_ride_shows_what_vouches_for_it(closed: Office) -> None:
    answer = ask(closed, f"/rides?day={DAY}&vehicle=a-101")
    link = re.findall(r'href="(/rides/tap/[^"]+)"', answer.text)[0]
    said = read(closed, link)
    device, epoch, sequence = link.split("/")[-3:]
    assert f"Record {sequence} of epoch {epoch}, from the validator of vehicle A-101" in said
    assert device in said
    assert re.search("SHA-256 of the signed message that brought it: [0-9a-f]{64}", said)


def test_rides_of_a_vehicle_are_found_and_long_days_have_further_pages(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record() for _ in range(120)]))
    small_day.close(office)
    first = ask(office, f"/rides?day={DAY}&vehicle=A-101")
    following = re.findall(r'href="(/rides\?[^"]+after=[^"]+)"', first.text)
    assert len(following) == 1
    second = ask(office, following[0].replace("&amp;", "&"))
    seen = [set(re.findall(r"/rides/tap/[^\"]+", page.text)) for page in (first, second)]
    assert (len(seen[0]), len(seen[1]), len(seen[0] & seen[1])) == (100, 20, 0)
    assert "No rides" in read(office, f"/rides?day={DAY}&vehicle=A-102")


def test_a_ride_of_another_city_is_no_ride(closed: Office) -> None:
    link = re.findall(r'href="(/rides/tap/[^"]+)"', ask(closed, f"/rides?day={DAY}").text)[0]
    with closed.database.writing() as session:
        token = issue_token(session, "far away", "person", [Scope("operator", "astana")], NOW_MS)
    assert ask(closed, link, authorization=f"Bearer {token}").status_code == 404
    assert ask(closed, "/rides/tap/00/1/1").status_code == 404
    assert ask(closed, "/rides/nothing").status_code == 404


# Closing.


def test_a_day_that_is_over_waits_with_what_speaks_against_it_and_is_closed_by_a_button(
    office: Office, device: Device
) -> None:
    office.send(device, device.message([device.record()]))
    assert "Waiting to be closed" not in read(office, "/closes")
    office.clock.at_ms = NEXT_MORNING_MS
    assert "May 15, 2024 Never closed yet Validators silent since: 1." in read(office, "/closes")
    office.send(device, device.message([device.record(tapped_at_s=NEXT_MORNING_MS // 1000 - 60)]))
    assert "May 15, 2024 Never closed yet ✓ Nothing Close" in read(office, "/closes")
    answer = _post(office, f"/closes/{CITY}/{DAY}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/closes/{CITY}/{DAY}")
    assert _post(office, f"/closes/{CITY}/{DAY}").status_code == 409


def test_late_taps_are_shown_and_a_further_version_says_in_words_what_they_changed(
    closed: Office, device: Device
) -> None:
    closed.clock.at_ms = NEXT_MORNING_MS + 60_000
    closed.send(device, device.message([device.record()]))
    with closed.database.reading() as session:
        (waiting,) = waiting_days(session, CITY, closed.clock.at_ms)
    assert (waiting.day, waiting.version, waiting.late) == (DAY, 1, 1)
    assert "Taps that came after version 1: 1" in read(closed, "/closes")
    _post(closed, f"/closes/{CITY}/{DAY}")
    assert "rides became" in read(closed, f"/closes/{CITY}/{DAY}")
    assert "Waiting to be closed" not in read(closed, "/closes")


# The books and the parties.


def test_the_trial_balance_has_every_account_and_its_sums_are_equal(closed: Office) -> None:
    said = read(closed, f"/balance?from={DAY}&to={DAY}")
    assert "Cash held, Alatau Bus Depot asset:till:almaty:alatau ₸0.00 ₸400.00 ₸0.00 ₸400.00" in said
    total = re.search(r"Total ₸0.00 (\S+) (\S+) ₸0.00", said)
    assert total is not None
    assert total[1] == total[2] != "₸0.00"
    assert "Debit and credit differ" not in said
    assert "Nothing booked" in read(closed, "/balance?from=2024-05-01&to=2024-05-02")


def test_a_payout_is_proposed_by_one_person_and_approved_by_another(closed: Office) -> None:
    said = read(closed, f"/parties?from={DAY}&to={DAY}")
    assert "Alatau Bus Depot alatau PDF XLSX CSV" in said
    assert "No payouts yet." in said
    assert _post(closed, "/payouts", city=CITY, last_day=DAY).status_code == 303
    assert "P20240515-alatau-1" in read(closed, "/parties")
    assert _post(closed, "/payouts/1", decision="approve").status_code == 403
    token = token_of(closed.database)
    assert _post(closed, "/payouts/1", token, decision="approve").status_code == 303
    assert _post(closed, "/payouts/1", token, decision="approve").status_code == 409
    assert _post(closed, "/payouts/2", token, decision="reject").status_code == 303
    said = read(closed, "/parties")
    assert "approved" in said
    assert "rejected" in said


def test_a_form_that_says_nonsense_is_refused(closed: Office) -> None:
    assert _post(closed, "/payouts", city=CITY, last_day="soon").status_code == 422
    assert _post(closed, "/payouts", city="nowhere", last_day=DAY).status_code == 404
    assert _post(closed, "/payouts/1", decision="perhaps").status_code == 422
    assert _post(closed, "/breaks/1", action="forget").status_code == 422


def test_a_statement_is_taken_away_in_every_format(closed: Office) -> None:
    page = ask(closed, f"/parties?from={DAY}&to={DAY}").text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="(/v1/statements/almaty/alatau[^"]+)"', page)]
    beginnings = [closed.client.get(link).content[:4] for link in links]
    assert beginnings[:2] == [b"%PDF", b"PK\x03\x04"]
    assert len(beginnings) == 3


# Differences.


def test_a_difference_is_shown_with_its_remedy_taken_over_and_explained(office: Office, difference: int) -> None:
    said = read(office, "/breaks")
    assert "Money at risk ₸120.00" in said
    assert "Left out of the statement acquirer, acquirer" in said
    assert "It may come with a later statement" in read(office, f"/breaks/{difference}")
    assert _post(office, f"/breaks/{difference}", action="assign").status_code == 303
    assert "Taken over" in read(office, "/breaks?state=assigned")
    assert _post(office, f"/breaks/{difference}", action="explain", note="").status_code == 422
    assert _post(office, f"/breaks/{difference}", action="explain", note="it came").status_code == 303
    assert "No differences" in read(office, "/breaks")
    assert "it came" in read(office, f"/breaks/{difference}")
    assert _post(office, f"/breaks/{difference}", action="explain", note="again").status_code == 409


def test_a_difference_is_closed_only_by_an_adjustment_that_is_in_the_books(office: Office, difference: int) -> None:
    asked = {"action": "adjust", "entry_key": f"adjustment/{CITY}/1", "note": "booked"}
    assert _post(office, f"/breaks/{difference}", **asked).status_code == 422
    with office.database.reading() as session:
        assert show_break(session, difference, NOW_MS).state == "open"


# Bank cards.


def test_charges_of_a_day_and_what_became_of_one(office: Office) -> None:
    with Acquirer(office.clock.now_ms) as acquirer:
        bench = CardBench(office, acquirer)
        bench.tap(1)
        bench.price()
        bench.run()
        reference = bench.charge(1).reference
        assert f"{reference} Closed 1 rides" in read(office, f"/charges?day={DAY}")
        said = read(office, f"/charges/{reference}")
        assert "Capture" in said
        assert "Bank cards" in read(office, "/charges?day=2024-05-01")
        assert ask(office, "/charges/C-nobody").status_code == 404


# Everybody.


def test_a_rider_sees_which_bus_would_be_paid(office: Office) -> None:
    answer = office.client.get(f"/pay/{CITY}/A-101", headers={"accept": "text/html", "accept-language": "en"})
    assert answer.status_code == 200
    said = words(answer)
    assert "A-101" in said
    assert "the sticker is a fake" in said
    assert "₸100.00" in said
    assert ask(office, f"/pay/{CITY}/A-999").status_code == 404
    assert ask(office, f"/pay/{CITY}?code=nonsense").status_code == 422


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_page_of_the_office_comes_in_every_language(closed: Office, difference: int, code: str) -> None:
    ride = re.findall(r'href="(/rides/tap/[^"]+)"', ask(closed, f"/rides?day={DAY}").text)[0]
    for path in ("/rides", ride, "/breaks", f"/breaks/{difference}", "/balance", "/parties", "/charges", "/closes"):
        answer = ask(closed, f"{path}?lang={code}")
        assert answer.status_code == 200, path
        assert f'<html lang="{code}">' in answer.text
        assert "KZT" not in answer.text


@pytest.mark.parametrize("path", ["/rides", "/breaks", "/balance", "/parties", "/charges"])
def test_a_technician_sees_no_money(office: Office, path: str) -> None:
    token = token_of(office.database, role="technician")
    assert ask(office, path, authorization=f"Bearer {token}").status_code == 403
