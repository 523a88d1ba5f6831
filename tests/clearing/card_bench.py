"""A city's bank cards between real taps and a real acquirer on loopback; its rides are priced by hand, as a close would.

Prices are set here so that a test can change one, take a ride back or let it come late; one test goes the whole way by a close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from clearing.access.service import local_caller
from clearing.acquiring.checks import check_acquiring
from clearing.acquiring.client import AcquirerClient
from clearing.acquiring.models import Charge
from clearing.acquiring.outbox import Run, RunReport
from clearing.acquiring.terms import terms_of
from clearing.acquiring.views import ChargeHistory, history_of
from clearing.fleet.keys import Aes
from clearing.ledger.chart import acquirer_account, payable_account
from clearing.ledger.checks import check_ledger
from clearing.ledger.entries import entry_of
from clearing.ledger.service import book, trial_balance
from clearing.media.models import DenyEntry
from clearing.network.parties import Acquirer as AcquirerTerms
from clearing.network.parties import Names, Parties
from clearing.network.service import store_parties
from clearing.network.service_day import service_day
from clearing.pricing.models import Fare
from protocol.ack import WANTED_DENY_LIST
from protocol.cards.acquirer_blob import seal_blob
from protocol.cards.dukpt import KEY_ID_BYTES, plant
from protocol.cards.tlv import encode
from protocol.cose import TYP_LIST, verify1
from protocol.keyset import ROLE_LIST
from protocol.medium_list import LIST_DENY, decode_list
from protocol.tap import KIND_ACQUIRER_BLOB, KIND_REFUSED, KIND_SINGLE, MEDIUM_BANK_CARD
from simulator.counterparties.acquirer import Acquirer, initial_key
from tests.builders import CITY, DAY, NOW_S, Device, Office, make_token, make_verifier
from tests.clearing.small_day import send

if TYPE_CHECKING:
    from clearing.access.roles import Caller

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DENIED = 1
ZONE = "Asia/Almaty"
FARE = 10_000
NEXT_MORNING_MS = NOW_S * 1000 + DAY_MS


class CardBench:
    """Riders with bank cards, by number, in bus A-101.

    Attributes:
        fares: price and what else is known of each ride, by its source key.
    """

    def __init__(self, office: Office, acquirer: Acquirer | None = None, **terms: Any) -> None:  # noqa: ANN401
        self.office = office
        self.acquirer = acquirer
        self.device = office.enrol(Device(seed=1), "A-101")
        self.fares: dict[str, dict[str, Any]] = {}
        key = initial_key("A-101")
        self._keys, _ = plant(Aes(), key[:KEY_ID_BYTES], key[KEY_ID_BYTES:])
        self._closes = 0
        self._booked: dict[str, int] = {}
        self.agree(**terms)
        with office.database.reading() as session:
            caller = local_caller(session)
        assert caller is not None
        self.caller: Caller = caller

    def agree(self, **terms: Any) -> None:  # noqa: ANN401
        """Set what the city has agreed with its acquirer."""
        names = Names(kk="банк", ru="банк", en="bank")
        parties = Parties(acquirer=AcquirerTerms(code="bank", names=names, **terms))
        with self.office.database.writing() as session:
            store_parties(session, CITY, parties)

    def sealed(self, card: int) -> bytes:
        """What a validator seals for the acquirer of a card."""
        track = b"%016d" % (9_999_990_000_000_000 + card)
        return seal_blob(Aes(), self._keys, bytearray(encode(0x57, bytes.fromhex(track.decode()) + b"\xd3\x01\x2f")))

    def tap(self, card: int, at_s: int = NOW_S, fare_minor: int = FARE, *, sealed: bool = True) -> str:
        """A rider holds a card and rides; returns the ride's source key."""
        sequence = self.device.next_sequence
        fields: dict[str, Any] = {"token": make_token(card), "token_key_version": 1, "tapped_at_s": at_s}
        fields |= {"fare_table": 7, "deny_list": 41}
        records = [self.device.record(kind=KIND_SINGLE, medium=MEDIUM_BANK_CARD, fare_minor=fare_minor, **fields)]
        if sealed:
            records.append(self._blob(sequence, card, at_s))
        self.office.clock.at_ms = max(self.office.clock.at_ms, at_s * 1000)
        send(self.office, self.device, records)
        key = f"{self.device.id.hex()}/{self.device.epoch}/{sequence}"
        self.fares[key] = {"token": make_token(card), "ridden_at_s": at_s, "charged_minor": fare_minor}
        return key

    def _blob(self, sequence: int, card: int, at_s: int) -> bytes:
        fields: dict[str, Any] = {"kind": KIND_ACQUIRER_BLOB, "reference": sequence, "evidence": self.sealed(card)}
        absent = dict.fromkeys(("medium", "fare_minor", "category", "line", "decision"))
        return self.device.record(tapped_at_s=at_s, **fields, **absent)

    def send_sealed(self, key: str, card: int, at_s: int = NOW_S) -> None:
        """What was sealed of a ride comes by itself, later."""
        send(self.office, self.device, [self._blob(int(key.rpartition("/")[2]), card, at_s)])

    def tap_denied(self, card: int, at_s: int) -> None:
        """A rider holds a card that is on the deny list."""
        fields: dict[str, Any] = {"token": make_token(card), "token_key_version": 1, "tapped_at_s": at_s}
        self.office.clock.at_ms = at_s * 1000
        send(
            self.office,
            self.device,
            [
                self.device.record(
                    kind=KIND_REFUSED, medium=MEDIUM_BANK_CARD, decision=DENIED, fare_minor=None, **fields
                )
            ],
        )

    def price(self) -> None:
        """Write the fares of all days as they are now, and book their difference, as a close does."""
        with self.office.database.writing() as session:
            party = terms_of(session, CITY).party_on(DAY)
            session.execute(delete(Fare).where(Fare.city == CITY))
            sums: dict[str, int] = {}
            for key, ride in sorted(self.fares.items()):
                fare = self._fare(key, **ride)
                session.add(fare)
                sums[fare.service_day] = sums.get(fare.service_day, 0) + fare.charged_minor
            self._closes += 1
            for day in sorted({*sums, *self._booked}):
                minor = sums.get(day, 0) - self._booked.get(day, 0)
                legs = {acquirer_account(CITY, party): minor, payable_account(CITY, "alatau"): -minor}
                entry = entry_of(f"close/{CITY}/{day}/{self._closes}/alatau/bank_card", CITY, day, "by hand", legs)
                if entry is not None:
                    book(session, entry, self.office.clock.now_ms())
            self._booked = sums

    def _fare(self, key: str, **ride: Any) -> Fare:  # noqa: ANN401
        device, epoch, sequence = key.split("/")
        ride = {"carrier": "alatau", "medium": "bank_card", "day": service_day(ZONE, ride["ridden_at_s"])} | ride
        return Fare(
            source="tap",
            source_key=key,
            device_id=bytes.fromhex(device),
            epoch=int(epoch),
            sequence=int(sequence),
            city=CITY,
            service_day=ride.pop("day"),
            vehicle="A-101",
            line=1,
            category=1,
            scheduled_minor=ride["charged_minor"],
            correction_minor=0,
            explanation_json='{"reason":"tariff"}',
            **ride,
        )

    def run(self, at_ms: int | None = None, *, timeout_s: float = 5.0, limit: int = 10_000, url: str = "") -> RunReport:
        """Let the job run at a moment, by default the next morning or later."""
        clock = self.office.clock
        clock.at_ms = max(clock.at_ms, NEXT_MORNING_MS) if at_ms is None else at_ms
        run = Run(self.office.database, self.office.keys, self.caller, CITY, clock.at_ms, limit=limit)
        run.add_up()
        url = url or (self.acquirer.url if self.acquirer else "")
        if not url:
            return run.report
        client = AcquirerClient(url, timeout_s=timeout_s)
        try:
            return run.work_off(client)
        finally:
            client.close()

    def later(self, days: float) -> RunReport:
        """Let the job run so many days later."""
        return self.run(self.office.clock.at_ms + int(days * DAY_MS))

    def charge(self, card: int, number: int = 0) -> Charge:
        """A card's charge, by default its first."""
        with self.office.database.reading() as session:
            charges = session.scalars(
                select(Charge).where(Charge.card.has(token=make_token(card))).order_by(Charge.window_s)
            ).all()
        return charges[number]

    def history(self, card: int, number: int = 0) -> ChargeHistory:
        with self.office.database.reading() as session:
            return history_of(session, self.charge(card, number).reference)

    def operations(self, card: int) -> list[str]:
        """What was asked and told of a card's first charge, such as `capture done`."""
        return [f"{each.kind} {each.outcome}" for each in self.history(card).operations]

    def denied(self) -> set[int]:
        """The cards, by number up to 99, that are on the deny list."""
        with self.office.database.reading() as session:
            tokens = set(session.scalars(select(DenyEntry.token).where(DenyEntry.removed_at_ms.is_(None))))
        return {card for card in range(100) if make_token(card) in tokens}

    def refused_on_the_bus(self, card: int) -> bool:
        """Whether a validator that syncs now holds a list by which it refuses a card."""
        assert self.device.key_set is not None
        self.device.now_s = self.office.clock.at_ms // 1000
        wanted = self.office.send(self.device, self.device.message([])).wanted or {}
        message = self.office.client.get(f"/v1/lists/deny/{wanted[WANTED_DENY_LIST]}").content
        keys = make_verifier(self.device.key_set.points(ROLE_LIST))
        listed = decode_list(verify1(message, TYP_LIST, self.device.audience, keys), LIST_DENY)
        return listed.holds(make_token(card))

    def balances(self) -> dict[str, int]:
        """What stands on which account, but for the carrier's."""
        with self.office.database.reading() as session:
            found = {each.account: each.amount_minor for each in trial_balance(session, CITY)}
        return {
            account.removesuffix(":bank").replace(f":{CITY}", ""): minor
            for account, minor in found.items()
            if minor and "payable" not in account
        }

    def faults(self) -> list[str]:
        """What the checks find in the books."""
        with self.office.database.reading() as session:
            return [*check_ledger(session), *check_acquiring(session)]
