"""An acquirer over HTTP that loses, delays, doubles and contradicts: what it truly took is what the books say."""

from __future__ import annotations

import csv
import http.server
import io
import json
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from clearing.acquiring.client import AcquirerClient, NoAnswerError, Request, read_answer
from clearing.acquiring.items import StatementItem, acquirer_items, settle
from clearing.acquiring.states import CLOSED, DEBT
from clearing.money import parse_minor
from simulator.counterparties.acquirer import Acquirer
from simulator.counterparties.acquirer_book import Habits, Terms
from tests.builders import CITY, NOW_MS, NOW_S, Office
from tests.clearing.card_bench import DAY_MS, FARE, HOUR_MS, NEXT_MORNING_MS, CardBench

if TYPE_CHECKING:
    from collections.abc import Iterator

BAD = Habits(
    decline=0.4,
    poor_for=2,
    refuse_verification=0.2,
    refuse_capture=0.2,
    refuse_refund=0.3,
    lose_request=0.2,
    lose_answer=0.2,
    answer_late=0.3,
    notify_twice=0.5,
)
CARDS = range(1, 7)


def held_by_acquirer(acquirer: Acquirer) -> int:
    """What the acquirer has truly taken, less what it gave back."""
    signs = {"capture": 1, "payment": 1, "refund": -1}
    return sum(
        signs.get(each.kind, 0) * each.amount_minor
        for each in acquirer.book.operations.values()
        if each.status == "done"
    )


def notify(bench: CardBench) -> None:
    """Let the acquirer tell of its own accord what it has done, some of it twice, in the wrong order."""
    assert bench.acquirer is not None
    for notice in bench.acquirer.book.notices():
        answer = bench.office.client.post("/v1/acquiring/notifications", json=notice)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_it_does_nobody_pays_twice_and_nothing_is_lost(office: Office, seed: int) -> None:
    with Acquirer(office.clock.now_ms, seed, BAD) as acquirer:
        bench = CardBench(office, acquirer)
        keys = [bench.tap(card, NOW_S + 60 * card + turn) for turn in range(2) for card in CARDS]
        bench.run(NOW_MS + HOUR_MS)
        bench.price()
        bench.run(NEXT_MORNING_MS)
        bench.fares[keys[0]]["charged_minor"] = 3_000
        del bench.fares[keys[1]]
        bench.tap(3, NOW_S + 900)
        bench.price()
        for turn in range(15):
            if turn % 3 == seed % 3:
                notify(bench)
            bench.later(1)
        charges = [bench.charge(card) for card in CARDS]
        assert {each.state for each in charges} == {CLOSED}, "the money is there by then, and six tries find it"
        assert all(each.taken_minor - each.returned_minor == each.fares_minor for each in charges)
        assert held_by_acquirer(acquirer) == sum(ride["charged_minor"] for ride in bench.fares.values())
        assert bench.run(office.clock.at_ms).unknown == 0
        assert bench.denied() == set()
        assert bench.faults() == []
        assert any(times > 1 for times in acquirer.book.sent.values()), "something was lost and sent again"


def test_a_run_that_dies_while_it_sends_is_taken_up_by_the_next_one(office: Office) -> None:
    with Acquirer(office.clock.now_ms, habits=Habits(lose_answer=1.0)) as acquirer:
        bench = CardBench(office, acquirer)
        bench.tap(1)
        bench.price()
        bench.run()
        report = bench.run()
        assert (bench.charge(1).state, report.unknown) == (CLOSED, 0), "what was done is found by its reference"
        assert set(acquirer.book.sent.values()) == {1}, "and is never sent a second time"
        assert held_by_acquirer(acquirer) == FARE


def test_an_acquirer_that_is_silent_is_asked_for_a_while_and_then_left_alone(office: Office) -> None:
    with Acquirer(office.clock.now_ms) as acquirer:
        bench = CardBench(office, acquirer)
        for card in range(1, 9):
            bench.tap(card)
        bench.price()
        acquirer.is_stalling = True
        report = bench.run(timeout_s=0.05)
        assert not report.is_complete
        assert sum(report.asked.values()) == 5
        assert report.unknown == 8
        assert report.faults == ["no answer: TimeoutError", "not sent yet: the acquirer does not answer"]
        acquirer.is_stalling = False
        bench.run()
        assert {bench.charge(card).state for card in range(1, 9)} == {CLOSED}
        assert held_by_acquirer(acquirer) == 8 * FARE


def test_without_anybody_there_rides_are_added_up_and_nothing_is_lost(office: Office) -> None:
    acquirer = Acquirer(office.clock.now_ms).start()
    acquirer.close()
    bench = CardBench(office, acquirer, account_verification=False)
    bench.tap(1)
    bench.price()
    report = bench.run()
    assert (report.rides, report.unknown, report.faults) == (1, 1, ["no answer: ConnectionRefusedError"])
    assert bench.faults() == []


STRANGE: list[dict[str, Any] | bytes] = [
    {"amount_minor": FARE + 1},
    {"amount_minor": -FARE},
    {"amount_minor": True},
    {"amount_minor": "10000"},
    {"currency": "RUB"},
    {"reference": "somebody-elses"},
    {"status": "perhaps"},
    {"code": "x" * 10_000},
    {"acquirer_reference": "line\nbreak"},
    b"",
    b"[]",
    b"{",
    b"[" * 5_000,
    b" " * 20_000,
]


@contextmanager
def strange_acquirer(change: dict[str, Any] | bytes) -> Iterator[str]:
    """An acquirer that approves everything in its own words."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer: dict[str, Any] = {"status": "done", "acquirer_reference": "1", "code": ""}
            answer |= {name: asked[name] for name in ("reference", "amount_minor", "currency")}
            body = change if isinstance(change, bytes) else json.dumps(answer | change).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("change", STRANGE, ids=range(len(STRANGE)))
def test_an_answer_to_something_else_than_was_asked_is_not_believed(change: dict[str, Any] | bytes) -> None:
    request = Request("C1", "capture", FARE, "KZT")
    with strange_acquirer(change) as url:
        client = AcquirerClient(url)
        answer = None
        with suppress(NoAnswerError):
            answer = client.ask(request)
        client.close()
    assert answer is None or (answer.reference, answer.amount_minor, answer.currency) != ("C1", FARE, "KZT")


def test_what_is_not_believed_is_said_and_changes_nothing(office: Office) -> None:
    bench = CardBench(office, account_verification=False)
    bench.tap(1)
    bench.price()
    for change, fault in (
        ({"amount_minor": FARE - 1}, "it answered 99.99, asked was 100.00"),
        ({"currency": "RUB"}, "it answered in another currency than KZT"),
        ({"reference": "C0"}, "it answered for another reference"),
    ):
        with strange_acquirer(change) as url:
            report = bench.run(url=url)
        assert (report.faults, report.unknown) == ([fault], 1)
    assert bench.charge(1).taken_minor == 0


@pytest.mark.parametrize("url", ["", "acquirer.example", "ftp://acquirer.example", "file:///etc/passwd", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address of an acquirer"):
        AcquirerClient(url)


def test_an_answer_is_read_strictly() -> None:
    assert read_answer(b'{"status":"pending","amount_minor":0}').outcome == "asked"
    for body in (b"\xff", b"null", b'{"status":"done"}', b'{"status":"done","amount_minor":1.0}'):
        with pytest.raises(NoAnswerError):
            read_answer(body)


def read_statement(data: bytes) -> list[StatementItem]:
    """The settled lines of a statement, as an adapter reads them."""
    rows = list(csv.DictReader(io.StringIO(data.decode()), delimiter=";"))
    assert rows[-1]["date"] == "TOTAL"
    return [
        StatementItem(
            row["reference"],
            row["kind"],
            parse_minor(row["amount"]),
            parse_minor(row["fee"]),
            row["currency"],
            row["date"],
            row["acquirer_reference"],
        )
        for row in rows[:-1]
        if row["status"] == "settled"
    ]


def test_every_difference_that_was_put_into_statements_is_seen_and_no_other(office: Office) -> None:
    habits = Habits(
        delay=0.3,
        left_out=0.2,
        settled_twice=0.2,
        two_states=0.2,
        amount_altered=0.2,
        reference_reused=0.2,
        unknown_item=1.0,
    )
    with Acquirer(office.clock.now_ms, 5, habits) as acquirer:
        bench = CardBench(office, acquirer)
        for card in range(1, 21):
            bench.tap(card, NOW_S + card)
        bench.price()
        bench.run()
        verdicts: dict[str, set[str]] = {}
        days = ("2024-05-16", "2024-05-17")
        for day in days:
            items = read_statement(acquirer.statement(day))
            with office.database.writing() as session:
                told = settle(session, bench.caller, office.clock.at_ms, CITY, items)
            for item, verdict in zip(items, told, strict=True):
                verdicts.setdefault(item.reference, set()).add(verdict)
        injected = {(each.kind, each.reference) for each in acquirer.injected}
        with office.database.reading() as session:
            ours = {item.reference: item for item in acquirer_items(session, CITY, "2024-05-15", "2024-05-15")}
        seen = {("left_out", reference) for reference, item in ours.items() if item.settled_minor is None} - {
            ("left_out", reference) for reference, told_of in verdicts.items() if "amount_differs" in told_of
        }
        names = {"repeated": "settled_twice", "unknown": "unknown_item", "amount_differs": "amount_altered"}
        seen |= {
            (names[each], reference) for reference, told_of in verdicts.items() for each in told_of if each in names
        }
        only_in_the_file = {"two_states", "reference_reused"}  # they move no money; who reads the file sees them
        assert seen == {(kind, reference) for kind, reference in injected if kind not in only_in_the_file}
        assert {kind for kind, _ in injected} >= {"left_out", "settled_twice", "amount_altered", "unknown_item"}
        assert bench.faults() == []


def test_a_debt_is_on_the_list_within_the_hour_and_off_it_within_the_hour(office: Office) -> None:
    """The job runs every half hour; the validators' list has a new number each time."""
    with Acquirer(office.clock.now_ms, habits=Habits(decline=1.0), terms=Terms()) as acquirer:
        bench = CardBench(office, acquirer)
        bench.tap(1)
        bench.price()
        bench.run()
        assert (bench.charge(1).state, bench.denied()) == (DEBT, {1})
        payment = acquirer.book.pay(bench.charge(1).reference, FARE)
        answer = office.client.post("/v1/acquiring/payments", json=payment)
        assert answer.json()["state"] == CLOSED
        assert bench.denied() == set()
        assert bench.run(NEXT_MORNING_MS + DAY_MS).asked == {}
