"""Codes that are shown and scanned: tickets with their signature, screen codes with their receipts, labels."""

from __future__ import annotations

from protocol import cbor
from protocol.cose import ec2_key, key_thumbprint
from protocol.errors import QrError, UnknownKid
from protocol.p256 import P256Signer, P256Verifier, public_key
from protocol.qr import base45
from protocol.qr.nonce import (
    RECEIPT_PREFIX,
    SCREEN_PREFIX,
    Receipt,
    check_receipt,
    is_genuine,
    make_nonce,
    read_receipt,
    read_screen,
    screen_key,
    show_receipt,
    show_screen,
    vehicle_secret,
)
from protocol.qr.ticket import PREFIX, QrTicket, day_key, read_ticket, show_ticket, ticket_key
from protocol.qr.ticket_signature import is_signed, sign_ticket
from protocol.qr.vehicle_label import is_printed, label_check, read_label, show_label
from tests.protocol.expect import refusal

NOW_S = 1_715_742_000
DAY = NOW_S // 86_400
MINUTE = NOW_S // 60
MASTER = b"qr master of a city that is none"
CITY = 1
DEVICE, OTHER_DEVICE = b"d" * 16, b"e" * 16
KEY = screen_key(day_key(MASTER, DAY), vehicle_secret(MASTER, "almaty", "A-101"), DEVICE)
PAYMENT = b"payment1"
FIELDS: dict[int, int | bytes] = {0: 1, 1: DEVICE, 2: CITY, 3: MINUTE, 4: PAYMENT, 5: 10_000, 6: 1}


def signer(private: int) -> tuple[P256Signer, P256Verifier]:
    x, y = [part.to_bytes(32, "big") for part in public_key(private)]
    kid = key_thumbprint(ec2_key(x, y))
    return P256Signer(kid, private), P256Verifier({kid: (x, y)})


def code(prefix: str, fields: dict[int, int | bytes]) -> str:
    return prefix + base45.encode(cbor.encode(fields))


def receipt(**changes: int | bytes) -> Receipt:
    names = ("device", "city", "minute", "payment", "fare_minor", "category")
    values = {name: changes.get(name, FIELDS[key + 1]) for key, name in enumerate(names)}
    return Receipt(**values)  # type: ignore[arg-type]


def decided(text: str, now_s: int = NOW_S) -> int:
    return check_receipt(read_receipt(text), DEVICE, CITY, {DAY: KEY}, now_s)


def test_a_ticket_carries_the_services_signature() -> None:
    ours, verifier = signer(0x1234)
    ticket = QrTicket(b"ticket 1", CITY, 1, NOW_S + 100, 0)
    signature = sign_ticket(ticket, "almaty", ours)
    key = ticket_key(day_key(MASTER, DAY), ticket.ticket_id)
    text = show_ticket(ticket.ticket_id, CITY, 1, NOW_S + 100, key, NOW_S, signature)
    assert len(text) <= 182
    shown = read_ticket(text)
    assert is_signed(shown, "almaty", verifier)
    assert not is_signed(shown, "astana", verifier)
    for name, value in (("ticket_id", b"ticket 2"), ("category", 5), ("expires_s", NOW_S + 101), ("city", 2)):
        forged = read_ticket(text)
        setattr(forged, name, value)
        assert not is_signed(forged, "almaty", verifier), name
    _, another = signer(0x1235)
    assert refusal(UnknownKid, is_signed, shown, "almaty", another)


def test_what_is_no_ticket_is_refused() -> None:
    fields: dict[int, int | bytes] = {0: 1, 1: b"ticket 1", 2: 1, 3: 1, 4: NOW_S, 5: 7, 6: b"c" * 8, 7: bytes(72)}
    assert read_ticket(code(PREFIX, fields)).step == 7
    for key, value in ((0, 2), (1, b"ticket"), (2, 1 << 16), (5, True), (6, b""), (7, bytes(71)), (8, 1)):
        assert refusal(QrError, read_ticket, code(PREFIX, fields | {key: value})), key
    del fields[7]
    assert refusal(QrError, read_ticket, code(PREFIX, fields)), "a ticket without a signature"
    for text in ("", PREFIX, PREFIX + "AB", code(SCREEN_PREFIX, fields), PREFIX + "0" * 4096):
        assert refusal(QrError, read_ticket, text)


def test_a_screen_shows_another_code_each_minute_that_only_its_key_makes() -> None:
    text = show_screen(KEY, DEVICE, CITY, MINUTE)
    shown = read_screen(text)
    assert (shown.device, shown.city, shown.minute) == (DEVICE, CITY, MINUTE)
    assert is_genuine(shown, KEY)
    shown.minute += 1
    assert not is_genuine(shown, KEY)
    other_key = screen_key(day_key(MASTER, DAY), vehicle_secret(MASTER, "almaty", "A-102"), DEVICE)
    codes = [
        make_nonce(KEY, CITY, MINUTE),
        make_nonce(KEY, CITY, MINUTE + 1),
        make_nonce(KEY, CITY + 1, MINUTE),
        make_nonce(other_key, CITY, MINUTE),
        make_nonce(screen_key(day_key(MASTER, DAY + 1), bytes(8), DEVICE), CITY, MINUTE),
    ]
    assert len(set(codes)) == len(codes)


def test_a_receipt_opens_its_validator_in_its_minutes() -> None:
    text = show_receipt(receipt(), KEY)
    assert len(text) <= 110
    assert [decided(text, NOW_S + 60 * minute) for minute in (-1, 0, 1, 3, 4)] == [35, 0, 0, 0, 35]
    assert decided(show_receipt(receipt(device=OTHER_DEVICE), KEY)) == 34
    assert decided(show_receipt(receipt(city=2), KEY)) == 33
    assert decided(show_receipt(receipt(minute=MINUTE - 1440), KEY)) == 35


def test_a_changed_receipt_opens_nothing() -> None:
    shown = read_receipt(show_receipt(receipt(), KEY))
    for name, value in (("payment", b"payment2"), ("fare_minor", 0), ("category", 5), ("minute", MINUTE - 1)):
        fields = receipt(**{name: value}).fields()
        fields[7] = shown.code
        assert decided(code(RECEIPT_PREFIX, fields)) == 11, name
    assert decided(show_receipt(receipt(), bytes(32))) == 11


def test_what_is_no_receipt_is_refused() -> None:
    fields = FIELDS | {7: b"c" * 8}
    assert read_receipt(code(RECEIPT_PREFIX, fields)).payment == PAYMENT
    for key, value in ((0, 0), (1, b""), (3, -1), (4, b"payment"), (5, 100_000_001), (7, b""), (8, 1)):
        assert refusal(QrError, read_receipt, code(RECEIPT_PREFIX, fields | {key: value})), key
    for text in ("", RECEIPT_PREFIX, "JQ3:%%%", show_screen(KEY, DEVICE, CITY, MINUTE)):
        assert refusal(QrError, read_receipt, text)
    assert refusal(QrError, read_screen, show_receipt(receipt(), KEY))


def test_a_label_says_city_and_vehicle_and_shows_who_printed_it() -> None:
    text = show_label("almaty", "A-101", label_check(MASTER, "almaty", "A-101"))
    assert text.startswith("JOLAQY://ALMATY/A-101/")
    label = read_label(text.lower())
    assert (label.city, label.vehicle) == ("almaty", "A-101")
    assert is_printed(label, MASTER)
    label.vehicle = "A-102"
    assert not is_printed(label, MASTER)
    for text in (
        "",
        "JOLAQY://",
        "JOLAQY://A/B",
        "HTTP://A/B/C",
        "JOLAQY://A//C",
        "JOLAQY://A/B C/D",
        "JOLAQY://A/B/C/D",
    ):
        assert refusal(QrError, read_label, text)
    assert refusal(QrError, read_label, "JOLAQY://A/B/" + "C" * 33)
