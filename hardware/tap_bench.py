"""What a validator would say to a card that is held to a technician's reader, with nothing taken and nothing written."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.boards.crypto_cpython import Aes
from firmware.decision import MediumFacts, Ride, decide
from hardware.problem import EXIT_NOTHING_FOUND, Problem
from protocol.cards import card_layout as layout
from protocol.cards.desfire import (
    AuthenticationFailed,
    ForgedAnswer,
    KeyInMemory,
    NotOurCard,
    open_transit_card,
    read_key_version,
    select_transit_card,
)
from protocol.cards.emv import NoPaymentApplication, select_application
from protocol.decisions import (
    DECISION_BAD_AUTHENTICATION,
    DECISION_CARD_ANSWER_FORGED,
    DECISION_CARD_BLOCKED,
    DECISION_CARD_KEYS_UNKNOWN,
    DECISION_MEDIUM_FAULT,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.errors import CardError
from protocol.tap import CLOCK_SYNCHRONISED, MEDIUM_BANK_CARD, MEDIUM_TRANSPORT_CARD

if TYPE_CHECKING:
    from hardware.bench_rules import BenchRules
    from hardware.desk_keys import DeskKeys
    from hardware.nfc_reader import NfcCard
    from protocol.cards.desfire import TransitCard

_ADULT = 1


@dataclass(frozen=True)
class Verdict:
    """What a validator would say.

    Attributes:
        medium: `transport_card` or `bank_card`.
        code: one of `protocol.decisions.DECISION_…`.
        fare_minor: tiyn to charge.
        balance_minor: purse, tiyn; absent where there is none or it was not read.
        token: of a card that proved itself.
        unchecked: what a validator checks beyond.
    """

    medium: str
    code: int
    fare_minor: int = 0
    balance_minor: int | None = None
    token: bytes | None = None
    unchecked: tuple[str, ...] = ()


class TapBench:
    """Reads cards as a validator of a city does.

    Args:
        city: number of the city.
        line, stop: where the ride would be; None for nowhere.
        now_s: when, unix seconds.
    """

    def __init__(
        self, keys: DeskKeys, rules: BenchRules, city: int, now_s: int, line: int | None = None, stop: int | None = None
    ) -> None:
        self._keys = keys
        self._rules = rules
        self._city = city
        self._line = line
        self._stop = stop
        self._now_s = now_s

    def judge(self, card: NfcCard) -> Verdict:
        """Read a card and say what would become of it.

        Raises:
            Problem: it is no medium at all, or left too early.
        """
        try:
            card.hold(select_transit_card())
        except NotOurCard:
            return self._judge_bank_card(card)
        try:
            return self._judge_transit_card(card)
        except ForgedAnswer:
            return Verdict("transport_card", DECISION_CARD_ANSWER_FORGED)
        except AuthenticationFailed:
            return Verdict("transport_card", DECISION_BAD_AUTHENTICATION)
        except CardError:
            return Verdict("transport_card", DECISION_MEDIUM_FAULT)

    def _judge_transit_card(self, card: NfcCard) -> Verdict:
        aes = Aes()
        version = card.hold(read_key_version(layout.KEY_DEBIT))
        if not self._keys.knows(version):
            return Verdict("transport_card", DECISION_CARD_KEYS_UNKNOWN)
        key = self._keys.of_card(card.uid, version).numbered[layout.KEY_DEBIT]
        holder = KeyInMemory(aes, key, secrets.token_bytes(16))
        read: TransitCard = card.hold(open_transit_card(aes, holder, reads_all_events=True))
        environment = read.environment
        token = self._keys.token(environment.card_number)
        facts = MediumFacts(
            MEDIUM_TRANSPORT_CARD, environment.category, token, read.balance_minor, environment.expires_s
        )
        facts.concession_until_s = environment.concession_until_s or None
        facts.passes = environment.passes
        facts.rides = [Ride(each.at_s, each.fare_minor(), each.product) for each in read.events if each.product]
        if environment.city != self._city:
            code, fare_minor = DECISION_UNKNOWN_MEDIUM, 0
        elif environment.status != layout.STATUS_IN_USE:
            code, fare_minor = DECISION_CARD_BLOCKED, 0
        else:
            code, fare_minor = self._decide(facts)
        return Verdict("transport_card", code, fare_minor, read.balance_minor, token)

    def _judge_bank_card(self, card: NfcCard) -> Verdict:
        """Say what the fare would be; whether the card is genuine is the business of a validator's certified part."""
        try:
            card.hold(select_application())
        except NoPaymentApplication:
            raise Problem(
                "neither a transport card of ours nor a bank card", "hold another one to the reader", EXIT_NOTHING_FOUND
            ) from None
        except CardError:
            return Verdict("bank_card", DECISION_MEDIUM_FAULT)
        code, fare_minor = self._decide(MediumFacts(MEDIUM_BANK_CARD, _ADULT))
        return Verdict("bank_card", code, fare_minor, unchecked=("authenticity", "deny list"))

    def _decide(self, facts: MediumFacts) -> tuple[int, int]:
        rules, quality = self._rules, CLOCK_SYNCHRONISED
        decision = decide(facts, rules.fare_table, rules.deny_list, self._now_s, quality, self._line, None, self._stop)
        return decision.code, decision.fare_minor
