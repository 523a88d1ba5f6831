"""Bank cards that say anything: the objects they send, whole conversations, certificates, and blobs for the acquirer."""

from __future__ import annotations

from protocol.cards.acquirer_blob import open_blob, seal_blob
from protocol.cards.dukpt import plant
from protocol.cards.emv import BankCardRead, read_bank_card
from protocol.cards.emv_card_data import CardData
from protocol.cards.emv_oda import OfflineAuthentication
from protocol.cards.tlv import encode, find, parse, parse_object_list
from protocol.errors import CardError
from tests.fuzz.target import Target
from tests.protocol.aes import Aes
from tests.protocol.bank_bench import CARDS, OpenVault, answers_of, authorities, terminal

_COMMANDS_MAX = 1 + 8 + 1 + 16 + 1
_KEY_ID, _INITIAL_KEY = bytes(8), bytes(16)
_CHAIN = (0x8F, 0x90, 0x92, 0x9F32, 0x9F46, 0x9F47, 0x9F48, 0x9F4B)


def check_objects(data: bytes) -> None:
    """What is taken apart is all that was there, and nothing but CardError refuses."""
    for read in (
        parse,
        parse_object_list,
        lambda each: find(each, 0x5A),
        lambda each: CardData().take(memoryview(each)),
    ):
        try:
            read(data)
        except CardError:
            continue
    try:
        objects = parse(data)
    except CardError:
        return
    assert parse(b"".join(encode(tag, value) for tag, value in objects)) == objects


def _said(data: bytes) -> list[bytes]:
    """Return answers: each has its length before it, in two bytes."""
    answers = []
    while len(data) > 2:
        size = int.from_bytes(data[:2], "big")
        answers.append(data[2 : 2 + size])
        data = data[2 + size :]
    return answers or [b""]


def _as_input(answers: list[bytes]) -> bytes:
    return b"".join(len(answer).to_bytes(2, "big") + answer for answer in answers)


def check_conversation(data: bytes) -> None:
    """A conversation comes to an end; only a card with a right chain gives a token; nobody is left with a number."""
    answers, vault = _said(data), OpenVault()
    conversation = read_bank_card(vault, terminal(), OfflineAuthentication(authorities()))
    commands, read, refusal = 0, None, ""
    try:
        next(conversation)
        while True:
            commands += 1
            assert commands <= _COMMANDS_MAX
            conversation.send(answers[(commands - 1) % len(answers)])
    except StopIteration as end:
        read = end.value
    except CardError as error:
        refusal = str(error)
    said = b"".join(answers)
    # Each digit of it is certified, so a card that is read says it.
    assert read is None or any(bytes.fromhex(case["number"].rstrip("F")[:16]) in said for case in CARDS)
    assert read is None or isinstance(read, BankCardRead)
    assert "99999900" not in refusal
    assert not any(any(buffer) for buffer in vault.shown)


def check_chain(data: bytes) -> None:
    """Certificates and signatures of any bytes are refused with a reason, whatever their sizes; what was certified is not."""
    try:
        objects = {tag: bytes(value) for tag, value in parse(data) if tag in _CHAIN}
    except CardError:
        return
    authentication = OfflineAuthentication(authorities())
    for case in CARDS:
        number = bytes.fromhex(case["number"])
        try:
            key = authentication.card_key(bytes.fromhex(case["rid"]), objects, number, b"", terminal().today)
            authentication.dynamic_data(key, objects.get(0x9F4B, b""), [])
        except CardError:
            continue
        raise AssertionError("a chain over nothing")


def check_blob(data: bytes) -> None:
    """What is sealed is opened again, and nothing else is."""
    block, _ = plant(Aes(), _KEY_ID, _INITIAL_KEY)
    assert open_blob(Aes(), _INITIAL_KEY, seal_blob(Aes(), block, bytearray(data[:300]))) == data[:300]
    try:
        open_blob(Aes(), _INITIAL_KEY, data)
    except CardError:
        return
    raise AssertionError("opened what was not sealed")


def _chains() -> list[bytes]:
    chains = []
    for case in CARDS:
        card = CardData()
        for answer in answers_of(case)[2:]:
            card.take(memoryview(answer)[:-2])
        chains.append(b"".join(encode(tag, card.objects[tag]) for tag in _CHAIN if tag in card.objects))
    return chains


TARGETS = (
    Target("emv-objects", check_objects, lambda: [answer[:-2] for case in CARDS for answer in answers_of(case)], 512),
    Target("emv-conversation", check_conversation, lambda: [_as_input(answers_of(case)) for case in CARDS], 2048),
    Target("emv-chain", check_chain, _chains, 1024),
    Target("acquirer-blob", check_blob, lambda: [b"\x01" + bytes(44), bytes(60)], 320),
)
