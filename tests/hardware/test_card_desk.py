"""What a card desk does with one card, by virtual cards without a reader between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clearing.fleet.keys import Aes, open_keys
from hardware.batch import BEGUN, ISSUED, REJECTED, Batch, Entry
from hardware.card_desk import CardDesk, Order
from hardware.card_reader import CardGone
from hardware.desk_keys import DeskKeys, keys_from_file
from hardware.problem import EXIT_CHECK_FAILED, EXIT_CONFLICT, EXIT_NOTHING_FOUND, Problem
from protocol.cards import card_layout as layout
from protocol.cards.desfire_issue import MASTERS, card_keys
from protocol.tokens import LABEL_TRANSIT, mask_uid, medium_token
from simulator.desfire_originality import maker_public_key
from simulator.keys import derive_keys, write_keys
from simulator.sample_cards import blank_card, sample_transit_card, sample_visa_card
from simulator.virtual_card import TornAway, VirtualCard

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from simulator.desfire_card import DesfireCard

    Result = TypeVar("Result")

_NOW_S = 1_800_000_000
_ORDER = Order(1, 2, 1_900_000_000, 50_000)


class OnReader:
    """A virtual card as a reader hands it to the desk."""

    def __init__(self, card: VirtualCard) -> None:
        card.reset()
        self._card = card

    def read_uid(self) -> bytes:
        return self._card.uid

    def hold(self, conversation: Generator[bytes, bytes, Result]) -> Result:
        try:
            command = next(conversation)
            while True:
                command = conversation.send(self._card.process(command))
        except StopIteration as end:
            result: Result = end.value
            return result
        except TornAway:
            raise CardGone from None


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    write_keys(tmp_path, 7)
    return tmp_path / "keys.json"


@pytest.fixture
def keys(key_file: Path) -> DeskKeys:
    return keys_from_file(key_file)


@pytest.fixture
def desk(keys: DeskKeys) -> CardDesk:
    return CardDesk(keys, b"DSK1", lambda: _NOW_S)


def _issued(desk: CardDesk) -> DesfireCard:
    card = blank_card(1)
    desk.issue(OnReader(card), _ORDER, was_begun=False)
    return card


# Issuing.


def test_a_blank_card_becomes_ours_and_is_named_by_its_token(desk: CardDesk) -> None:
    card = blank_card(1)
    issued = desk.issue(OnReader(card), _ORDER, was_begun=False)
    environment = card.environment
    assert (environment.city, environment.category, environment.expires_s) == (1, 2, 1_900_000_000)
    assert (card.balance_minor, card.counter) == (50_000, 1)
    token_key = derive_keys(7)["token_key"]
    assert issued.token == medium_token(token_key, LABEL_TRANSIT, card.card_number)
    assert mask_uid(token_key, issued.token, issued.masked_uid) == card.uid
    opened, token = desk.open(OnReader(card))
    assert (token, opened.balance_minor) == (issued.token, 50_000)


def test_two_cards_have_two_numbers(desk: CardDesk) -> None:
    cards = [blank_card(1), blank_card(2)]
    for card in cards:
        desk.issue(OnReader(card), _ORDER, was_begun=False)
    assert cards[0].card_number != cards[1].card_number


def test_a_card_that_was_issued_is_not_issued_again(desk: CardDesk) -> None:
    card = _issued(desk)
    with pytest.raises(Problem, match="issued already") as problem:
        desk.issue(OnReader(card), _ORDER, was_begun=False)
    assert problem.value.exit_code == EXIT_CONFLICT


def test_a_card_with_somebody_elses_keys_is_put_aside(desk: CardDesk) -> None:
    card = sample_transit_card()
    for was_begun in (False, True):
        with pytest.raises(Problem, match="not blank") as problem:
            desk.issue(OnReader(card), _ORDER, was_begun=was_begun)
        assert problem.value.exit_code == EXIT_CONFLICT
    assert card.balance_minor == 300_000


def test_a_bank_card_is_not_issued(desk: CardDesk) -> None:
    with pytest.raises(Problem, match="UID of 7 bytes"):
        desk.issue(OnReader(sample_visa_card()), _ORDER, was_begun=False)


def test_a_card_torn_away_at_any_command_is_issued_the_next_time(desk: CardDesk) -> None:
    whole = blank_card(1)
    desk.issue(OnReader(whole), _ORDER, was_begun=False)
    for command in range(1, whole.commands + 1):
        card = blank_card(command)
        card.tear_at(command, carried_out=True)
        with pytest.raises(CardGone):
            desk.issue(OnReader(card), _ORDER, was_begun=False)
        issued = desk.issue(OnReader(card), _ORDER, was_begun=True)
        opened, token = desk.open(OnReader(card))
        assert (token, opened.balance_minor, card.counter) == (issued.token, 50_000, 1), command
        assert not _takes_the_makers_key(card), command
    assert whole.commands > 25


def _takes_the_makers_key(card: DesfireCard) -> bool:
    return bool(card.to_image()["master"] == bytes(16).hex())


def test_a_chip_of_another_maker_is_given_no_key(keys: DeskKeys) -> None:
    desk = CardDesk(keys, b"DSK1", lambda: _NOW_S, maker_public_key())
    card = blank_card(1)
    desk.issue(OnReader(card), _ORDER, was_begun=False)
    others = ec.generate_private_key(ec.SECP224R1()).public_key()
    another = others.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    desk = CardDesk(keys, b"DSK1", lambda: _NOW_S, another)
    copied = blank_card(2)
    with pytest.raises(Problem, match="not its maker's") as problem:
        desk.issue(OnReader(copied), _ORDER, was_begun=False)
    assert problem.value.exit_code == EXIT_CHECK_FAILED
    assert not copied.applications


# What becomes of a card.


def test_money_is_put_onto_a_card(desk: CardDesk) -> None:
    card = _issued(desk)
    reader = OnReader(card)
    opened, _ = desk.open(reader)
    desk.top_up(reader, opened, 10_000)
    assert (card.balance_minor, card.counter, opened.balance_minor, opened.counter) == (60_000, 2, 60_000, 2)
    assert card.events[-1].kind == layout.EVENT_TOP_UP


def test_a_blocked_card_takes_no_money(desk: CardDesk) -> None:
    card = _issued(desk)
    reader = OnReader(card)
    desk.block(reader, desk.open(reader)[0])
    assert card.environment.status == layout.STATUS_BLOCKED
    opened, _ = desk.open(reader)
    with pytest.raises(Problem, match="blocked") as problem:
        desk.top_up(reader, opened, 1)
    assert problem.value.exit_code == EXIT_CONFLICT
    with pytest.raises(Problem, match="blocked"):
        desk.block(reader, opened)


def test_a_retired_card_is_empty_and_stays_so(desk: CardDesk) -> None:
    card = _issued(desk)
    reader = OnReader(card)
    assert desk.retire(reader, desk.open(reader)[0]) == 50_000
    assert (card.balance_minor, card.environment.status) == (0, layout.STATUS_RETIRED)
    opened, _ = desk.open(reader)
    with pytest.raises(Problem, match="retired already"):
        desk.retire(reader, opened)
    with pytest.raises(Problem, match="retired"):
        desk.top_up(reader, opened, 1)


def test_a_card_of_another_city_is_told_from_no_card_of_ours(desk: CardDesk) -> None:
    with pytest.raises(Problem, match="does not know this city's keys") as problem:
        desk.open(OnReader(sample_transit_card()))
    assert problem.value.exit_code == EXIT_CHECK_FAILED
    with pytest.raises(Problem, match="no transport card of ours") as problem:
        desk.open(OnReader(blank_card(1)))
    assert problem.value.exit_code == EXIT_NOTHING_FOUND


# Generations of keys.


@pytest.fixture
def rolled(key_file: Path) -> DeskKeys:
    """The city has rolled its keys over once."""
    stored = json.loads(key_file.read_text())
    names = [name for name in MASTERS if name not in {"transit_card_master", "transit_mac_master"}]
    stored["transit_earlier"] = {name: stored[name] for name in names} | {"version": 1}
    stored |= {name: bytes(range(16)).hex() for name in names} | {"transit_version": 2}
    key_file.write_text(json.dumps(stored))
    return keys_from_file(key_file)


def test_a_card_of_the_generation_before_is_read_as_it_is_and_renewed_when_it_is_written(
    desk: CardDesk, rolled: DeskKeys
) -> None:
    card = _issued(desk)
    reader = OnReader(card)
    later = CardDesk(rolled, b"DSK2", lambda: _NOW_S)
    assert later.open(reader)[0].balance_minor == 50_000
    assert desk.open(reader)[0].balance_minor == 50_000
    opened, _ = later.open(reader, renews=True)
    later.top_up(reader, opened, 1000)
    assert card.balance_minor == 51_000
    with pytest.raises(Problem, match="keys of generation 2, which this desk has not"):
        desk.open(reader)


def test_a_renewal_that_was_cut_off_goes_on(desk: CardDesk, rolled: DeskKeys) -> None:
    later = CardDesk(rolled, b"DSK2", lambda: _NOW_S)
    for command in range(1, 40):
        card = _issued(desk)
        card.tear_at(command, carried_out=True)
        try:
            later.open(OnReader(card), renews=True)
        except CardGone:
            assert later.open(OnReader(card), renews=True)[0].balance_minor == 50_000
        else:
            break
    assert command > 10


# Keys.


def test_a_key_file_that_others_may_read_is_refused(key_file: Path) -> None:
    key_file.chmod(0o640)
    with pytest.raises(Problem, match="can be read by others") as problem:
        keys_from_file(key_file)
    assert problem.value.remedy == f"run: chmod 600 {key_file}"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"transit_card_master": 5}', '{"transit_card_master": "00"}'])
def test_a_damaged_key_file_is_refused_and_not_quoted(key_file: Path, text: str) -> None:
    key_file.write_text(text)
    with pytest.raises(Problem):
        keys_from_file(key_file)


def test_a_key_file_older_than_some_masters_has_those_that_the_service_finds_in_it(key_file: Path) -> None:
    stored = json.loads(key_file.read_text())
    for name in ("transit_credit_master", "transit_application_master", "transit_card_master"):
        del stored[name]
    key_file.write_text(json.dumps(stored))
    uid = bytes.fromhex("04514C4A010001")
    mine, theirs = keys_from_file(key_file).of_card(uid), open_keys(key_file).transit_masters()
    expected = card_keys(Aes(), theirs, uid)
    assert (mine.card, mine.numbered, mine.transaction_mac) == (
        expected.card,
        expected.numbered,
        expected.transaction_mac,
    )


def test_no_key_is_in_a_message(key_file: Path) -> None:
    stored = json.loads(key_file.read_text())
    secret = stored["token_key"]
    stored["token_key"] = secret[:-2]
    key_file.write_text(json.dumps(stored))
    with pytest.raises(Problem) as problem:
        keys_from_file(key_file)
    assert secret[:8] not in str(problem.value) + problem.value.remedy


# Batches.


def test_a_batch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    batch = Batch(path, "batch", _ORDER)
    batch.note(Entry("a", BEGUN, 1))
    batch.note(Entry("a", ISSUED, 2, "token", "uid", 0.5))
    batch.note(Entry("b", REJECTED, 3, reason="not blank"))
    batch.note(Entry("c", BEGUN, 4))
    batch.close()
    again = Batch(path, "batch", _ORDER)
    assert [entry.chip for entry in again.issued] == ["a"]
    assert [again.entries[chip].state for chip in "abc"] == [ISSUED, REJECTED, BEGUN]
    again.close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_step_that_a_power_cut_left_in_half_was_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    batch = Batch(path, "batch", _ORDER)
    batch.note(Entry("a", BEGUN, 1))
    batch.note(Entry("a", ISSUED, 2, "token"))
    batch.close()
    whole = path.read_bytes()
    first_step = whole.index(b"\n") + 1
    for cut in range(first_step, len(whole)):
        path.write_bytes(whole[:cut])
        again = Batch(path, "batch", _ORDER)
        assert len(again.issued) == 0
        again.note(Entry("b", REJECTED, 5))
        again.close()
        with_b = Batch(path, "batch", _ORDER)
        assert with_b.entries["b"].state == REJECTED
        with_b.close()


def test_a_file_of_another_batch_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    Batch(path, "batch", _ORDER).close()
    before = path.read_bytes()
    with pytest.raises(Problem, match="other cards than these") as problem:
        Batch(path, "batch", Order(2, 2, 1_900_000_000, 50_000))
    assert problem.value.exit_code == EXIT_CONFLICT
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["report.csv", "report.json"])
def test_a_report_says_what_became_of_each_card(tmp_path: Path, name: str) -> None:
    batch = Batch(tmp_path / "batch.jsonl", "batch", _ORDER)
    batch.note(Entry("a", ISSUED, 2, "00ff", "uid", 0.5))
    batch.note(Entry("b", REJECTED, 3, reason="not blank"))
    batch.write_report(tmp_path / name)
    batch.close()
    text = (tmp_path / name).read_text()
    assert "00ff" in text
    assert "not blank" in text
    assert "uid" not in text
