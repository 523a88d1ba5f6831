"""What a close stands on, what it says of another version, and when it is final."""

from __future__ import annotations

import random
import shutil
import warnings
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, text
from starlette.exceptions import StarletteDeprecationWarning

from clearing.access.service import LOCAL
from clearing.app import create_app
from clearing.channels.models import TopUp
from clearing.clock import FixedClock
from clearing.database import Database
from clearing.endpoint import ConflictError, RefusedError
from clearing.ingest.models import TapRow
from clearing.network.service_day import day_end_s
from clearing.settings import Settings
from clearing.settlement.closing import run_close
from clearing.settlement.difference import changes_between
from clearing.settlement.evidence import find_gaps
from clearing.settlement.finality import FINAL, PROVISIONAL, final_at_s, state_of
from clearing.settlement.merkle import is_included, leaf_hash
from clearing.settlement.models import Close
from clearing.settlement.service import close_of, diff_closes, prove_in_close
from protocol.decisions import DECISION_COMMITTED, DECISION_DENIED
from tests.builders import CITY, DAY, NOW_MS, NOW_S, Device, Office
from tests.clearing import small_day
from tests.clearing.small_day import NEXT_MORNING_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clearing.fleet.keys import KeyStore
    from tests.clearing.command import Command
    from tests.clearing.postgresql import PostgresqlServer

with warnings.catch_warnings():
    # As in `conftest.py`: the client says that it prefers a successor.
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

_FINAL_MS = final_at_s("Asia/Almaty", DAY, 14) * 1000


def _evidence(office: Office) -> tuple[str, int]:
    with office.database.reading() as session:
        evidence = close_of(session, CITY, DAY).totals.evidence
    assert evidence is not None
    return evidence.root, evidence.leaves


def test_the_root_is_over_accepted_refused_and_uncounted_taps_and_over_the_channels(office: Office) -> None:
    small_day.play(office)
    said = small_day.close(office)["evidence"]
    # Accepted: two by the button, two purses, a bank card, a code. Not counted: a debit whose end nobody knows.
    counts = {"leaves": 10, "accepted": 6, "refused": 1, "not_counted": 1, "missing": 0, "channels": 2}
    assert {name: said[name] for name in counts} == counts
    assert len(bytes.fromhex(said["root"])) == 32


def test_every_tap_and_message_of_a_day_can_be_proved(office: Office) -> None:
    alatau, _ = small_day.play(office)
    small_day.close(office)
    root, leaves = _evidence(office)
    keys = [f"{alatau.id.hex()}/1/{number}" for number in (1, 2, 3)]
    for key in (*keys, "sms/local/S-1", "top_up/local/T-1"):
        said = office.client.get(f"/v1/closes/{CITY}/{DAY}/proof", params={"key": key}).json()
        leaf = leaf_hash(bytes.fromhex(said["salt"]) + said["leaf"].encode())
        path = [bytes.fromhex(each) for each in said["path"]]
        assert (said["root"], said["size"], said["version"]) == (root, leaves, 1)
        assert is_included(leaf, said["index"], said["size"], path, bytes.fromhex(root))
        other = said["leaf"].replace("accepted", "refused").replace("paid", "gone").replace("sold", "gone")
        assert not is_included(
            leaf_hash(bytes.fromhex(said["salt"]) + other.encode()),
            said["index"],
            said["size"],
            path,
            bytes.fromhex(root),
        )


def test_a_proof_is_of_what_was_closed(office: Office, keys: KeyStore) -> None:
    alatau, _ = small_day.play(office)
    key = f"{alatau.id.hex()}/1/1"
    small_day.close(office)
    missing = office.client.get(f"/v1/closes/{CITY}/{DAY}/proof", params={"key": "sms/local/S-9"})
    assert missing.status_code == 404
    with office.database.writing() as session:
        session.execute(delete(TopUp))
    with office.database.reading() as session, pytest.raises(ConflictError, match="something has come"):
        prove_in_close(session, keys, CITY, DAY, key)


def test_a_close_without_keys_has_no_root_to_prove(office: Office, keys: KeyStore) -> None:
    small_day.play(office)
    with office.database.writing() as session:
        run_close(session, CITY, DAY, LOCAL, NEXT_MORNING_MS)
    with office.database.reading() as session, pytest.raises(ConflictError, match="has no root"):
        prove_in_close(session, keys, CITY, DAY, "sms/local/S-1")


def test_records_that_are_missing_are_found_and_are_leaves(office: Office, device: Device) -> None:
    small_day.send(office, device, [device.record() for _ in range(9)])
    with office.database.writing() as session:
        session.execute(delete(TapRow).where(TapRow.sequence.in_((1, 4, 5, 9))))
    with office.database.reading() as session:
        assert find_gaps(session, CITY, DAY) == [(device.id, 1, 1, 1), (device.id, 1, 4, 5)]
    said = small_day.close(office)["evidence"]
    assert (said["accepted"], said["missing"], said["leaves"]) == (5, 2, 7)
    proof = office.client.get(f"/v1/closes/{CITY}/{DAY}/proof", params={"key": f"{device.id.hex()}/1/4"}).json()
    assert proof["leaf"] == f'["missing","{device.id.hex()}",1,4,5]'
    assert proof["index"] == 3


def test_a_gap_belongs_to_the_day_of_the_record_after_it(office: Office, device: Device) -> None:
    small_day.send(office, device, [device.record()])
    office.clock.at_ms = NEXT_MORNING_MS
    records = [device.record(tapped_at_s=NOW_S + 86_000) for _ in range(3)]
    small_day.send(office, device, records)
    with office.database.writing() as session:
        session.execute(delete(TapRow).where(TapRow.sequence.in_((2, 3))))
    with office.database.reading() as session:
        assert find_gaps(session, CITY, DAY) == []
        assert find_gaps(session, CITY, "2024-05-16") == [(device.id, 1, 2, 3)]


def _play_shuffled(office: Office, seed: int) -> str:
    """The same taps, in batches of chance and now of one bus, now of the other; returns the digest of the close's bytes."""
    chance = random.Random(seed)
    waiting: list[tuple[Device, list[Callable[[], list[bytes]]]]] = []
    for number, vehicle in ((1, "A-101"), (2, "A-107")):
        device = office.enrol(Device(seed=number), vehicle)
        taps: list[Callable[[], list[bytes]]] = [lambda device=device: [device.record()] for _ in range(4)]  # type: ignore[misc]
        taps.append(partial(small_day.debit, device, number, 5, ended=DECISION_COMMITTED))
        taps.append(lambda device=device: [device.refusal(DECISION_DENIED)])  # type: ignore[misc]
        waiting.append((device, taps))
    while waiting:
        device, taps = chance.choice(waiting)
        count = chance.randint(1, len(taps))
        small_day.send(office, device, [record for tap in taps[:count] for record in tap()])
        del taps[:count]
        waiting = [each for each in waiting if each[1]]
    messages = ["S-1", "S-2", "S-3"]
    chance.shuffle(messages)
    for reference in messages:
        small_day.text_message(office, reference, NOW_S - 200 * int(reference[2:]))
    small_day.close(office)
    document: bytes = office.client.get(f"/v1/closes/{CITY}/{DAY}/document").content
    return sha256(document).hexdigest()


@pytest.fixture
def two_urls(
    sqlite_template: Path, postgresql: PostgresqlServer, postgresql_template: str, tmp_path: Path
) -> Iterator[list[str]]:
    """A prepared database of each kind."""
    path = shutil.copyfile(sqlite_template, tmp_path / "office.db")
    yield [f"sqlite:///{path}", postgresql.copy(postgresql_template, "test_two_urls")]
    postgresql.drop("test_two_urls")


def test_the_bytes_of_a_close_do_not_depend_on_order_or_database(
    two_urls: list[str], keys: KeyStore, keys_path: Path, tmp_path: Path
) -> None:
    digests = []
    for seed, url in enumerate(two_urls):
        home = tmp_path / f"home{seed}"
        shutil.copytree(keys_path.parent, home)
        clock, database = FixedClock(NOW_MS), Database(url)
        app = create_app(Settings(home, url), clock)
        with TestClient(app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000)) as client:
            digests.append(_play_shuffled(Office(client, database, keys, clock), seed))
        database.close()
    assert digests[0] == digests[1]


def test_the_exported_bytes_are_those_that_the_close_names(office: Office, command: Command) -> None:
    small_day.play(office)
    said = small_day.close(office)
    code, output, _ = command.run("close", "export", DAY)
    assert (code, sha256(output.encode()).hexdigest()) == (0, said["sha256"])
    assert output.startswith(
        '{"city":"almaty","day":"2024-05-15","entries":{"close/almaty/2024-05-15/1/alatau/bank_card":'
    )


def test_a_difference_is_said_in_words_and_money(office: Office, command: Command) -> None:
    alatau, medeu = small_day.play(office)
    small_day.close(office)
    small_day.send(office, alatau, [alatau.record(), alatau.refusal(DECISION_DENIED)])
    small_day.prove_unknown(office, medeu)
    small_day.close(office)
    code, output, _ = command.run("close", "diff", DAY, "1", "2")
    assert code == 0
    assert output.splitlines() == [
        "alatau, cash: 2 rides became 3 (+1)",
        "alatau, transport_card: 1 rides became 2 (+1)",
        "alatau, cash: fares of 400.00 ₸ became 600.00 ₸ (+200.00 ₸)",
        "alatau, transport_card: fares of 100.00 ₸ became 200.00 ₸ (+100.00 ₸)",
        "Refusals by validators: 1 became 2 (+1)",
        "Debits whose end nobody knows: 1 became 0 (-1)",
        "What these would be worth: 100.00 ₸ became 0.00 ₸ (-100.00 ₸)",
        "Records to look at: 0 became 1 (+1)",
        "Commission of oper from alatau: 70.00 ₸ became 100.00 ₸ (+30.00 ₸)",
    ]
    said = command.json("close", "diff", DAY, "1", "2", "--language", "ru")["changes"]
    assert said[2] == {
        "what": "fares",
        "of": {"carrier": "alatau", "medium": "cash"},
        "before": 40_000,
        "after": 60_000,
        "change": 20_000,
        "is_money": True,
        "text": "alatau, cash: плата за проезд была 400.00 ₸, стала 600.00 ₸ (+200.00 ₸)",
    }
    assert (
        said
        == office.client.get(
            f"/v1/closes/{CITY}/{DAY}/difference", params={"before": 1, "after": 2, "language": "ru"}
        ).json()["changes"]
    )
    assert command.run("close", "diff", DAY, "1", "3")[0] == 3


def test_a_version_differs_from_itself_in_nothing(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    with office.database.reading() as session:
        totals = close_of(session, CITY, DAY).totals
        assert diff_closes(session, CITY, DAY, 1, 1) == changes_between(totals, totals) == []


def test_a_day_is_provisional_for_fourteen_days_and_then_final() -> None:
    end_ms = day_end_s("Asia/Almaty", DAY) * 1000
    assert end_ms + 14 * 86_400_000 == _FINAL_MS
    assert state_of("Asia/Almaty", DAY, 14, _FINAL_MS - 1) == PROVISIONAL
    assert state_of("Asia/Almaty", DAY, 14, _FINAL_MS) == FINAL
    assert state_of("Asia/Almaty", DAY, 0, end_ms) == FINAL
    # Almaty went back an hour in this time.
    assert final_at_s("Asia/Almaty", "2024-02-20", 14) - day_end_s("Asia/Almaty", "2024-02-20") == 14 * 86_400 + 3600


def test_what_comes_after_a_day_is_final_does_not_change_it_by_itself(office: Office) -> None:
    alatau, _ = small_day.play(office)
    assert small_day.close(office)["state"] == PROVISIONAL
    office.clock.at_ms = _FINAL_MS
    small_day.send(office, alatau, [alatau.record()])
    answer = office.client.post("/v1/closes", json={"city": CITY, "day": DAY})
    assert answer.status_code == 409
    assert f"jolaqy adjustment request {DAY} --late" in answer.json()["error"]["remedy"]
    assert office.client.get(f"/v1/closes/{CITY}/{DAY}").json()["state"] == FINAL


def test_a_day_that_was_never_closed_is_closed_even_then(office: Office) -> None:
    small_day.play(office)
    office.clock.at_ms = _FINAL_MS
    said = office.client.post("/v1/closes", json={"city": CITY, "day": DAY}).json()
    assert (said["version"], said["state"], said["rides"]) == (1, FINAL, 7)


def _damage(database: Database) -> None:
    with database.writing() as session:
        if database.engine.dialect.name == "sqlite":
            session.execute(text("DROP TRIGGER posting_no_update"))
        else:
            session.execute(text("ALTER TABLE posting DISABLE TRIGGER posting_append_only"))
        session.execute(text("UPDATE posting SET amount_minor = amount_minor + 1 WHERE entry_id = 1 AND number = 1"))


def test_a_close_that_leaves_the_books_broken_is_refused_whole(office: Office) -> None:
    alatau, _ = small_day.play(office)
    small_day.close(office)
    _damage(office.database)
    small_day.send(office, alatau, [alatau.record()])
    with pytest.raises(RefusedError, match="off by 1 tiyn") as refused, office.database.writing() as session:
        run_close(session, CITY, DAY, LOCAL, NEXT_MORNING_MS)
    assert refused.value.code == "books_broken"
    answer = office.client.post("/v1/closes", json={"city": CITY, "day": DAY})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "books_broken")
    assert office.count(Close) == 1
