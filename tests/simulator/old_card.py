"""A transport card as it was issued before layout 2: environment, purse and transaction MAC, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.boards.crypto_cpython import Aes
from protocol.cards import card_layout as layout
from protocol.cards.desfire_issue import card_keys
from simulator.desfire_application import Application
from simulator.desfire_card import DesfireCard
from simulator.desfire_files import FULL, MAC, STANDARD, DataFile, TransactionMacFile, ValueFile

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ_1_AND_2 = [0x1F30, 0x2FFF]
_DEBIT_2_CREDIT_3 = [0x2F30]


def old_card(
    uid: bytes, environment: layout.Environment, balance_minor: int, masters: Mapping[str, bytes]
) -> DesfireCard:
    card = DesfireCard(uid)
    application = Application(layout.DF_NAME, 0x09, 4, uid)
    keys = card_keys(Aes(), masters, uid)
    application.keys = [keys.numbered[number] for number in range(4)]
    content = environment.card_number + environment.city.to_bytes(2, "big") + environment.category.to_bytes(2, "big")
    content += environment.expires_s.to_bytes(4, "big") + b"\x01" + bytes(15)
    application.files = {
        layout.FILE_ENVIRONMENT: DataFile(STANDARD, FULL, _READ_1_AND_2, content),
        layout.FILE_PURSE: ValueFile(FULL, _DEBIT_2_CREDIT_3, (0, 1 << 30), balance_minor, limited_credit=False),
        layout.FILE_TRANSACTION_MAC: TransactionMacFile(MAC, _READ_1_AND_2, keys.transaction_mac),
    }
    card.applications[layout.APPLICATION_ID] = application
    return card
