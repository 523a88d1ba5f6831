"""Is a bank card genuine? Each link of its chain, broken once: every fault has its own reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.emv import read_bank_card
from protocol.cards.emv_keys import NotGenuine, PublicKey, is_past
from protocol.cards.emv_oda import OfflineAuthentication, split_cda
from protocol.cards.tlv import encode
from protocol.compat import sha1_of
from protocol.decisions import (
    DECISION_CARD_AUTHORITY_UNKNOWN,
    DECISION_CARD_DECLINES,
    DECISION_CARD_SIGNATURE_WRONG,
    DECISION_CERTIFICATE_EXPIRED,
    DECISION_CERTIFICATE_REVOKED,
    DECISION_CERTIFICATE_WRONG,
)
from tests.protocol.bank_bench import (
    CARDS,
    KnownAuthorities,
    OpenVault,
    answers_of,
    authorities,
    terminal,
)
from tests.protocol.expect import refusal
from tests.protocol.transcript import answer_all, error_of

if TYPE_CHECKING:
    from typing import Any

    from protocol.cards.emv_terminal import Terminal

VISA_CASE, MASTERCARD_CASE = CARDS
ISSUER_SERIAL = b"\0\0\1"
# Which answer of a conversation it is.
OPTIONS, STATIC, ISSUER, KEYS, CARD, CRYPTOGRAM = 2, 3, 4, 5, 6, 7


def reason(
    case: dict[str, Any], answers: list[bytes], known: KnownAuthorities | None = None, at: Terminal | None = None
) -> int:
    """Return why a card is refused that gives these answers."""
    authentication = OfflineAuthentication(known or authorities())
    failed = error_of(read_bank_card(OpenVault(), at or terminal(), authentication), answers)
    assert isinstance(failed, NotGenuine), failed
    assert case["number"][:12] not in str(failed)
    return failed.decision


def changed(case: dict[str, Any], turn: int, before: str, after: str) -> list[bytes]:
    """Return a card's answers with a part of one replaced."""
    answers = answers_of(case)
    old, new = bytes.fromhex(before), bytes.fromhex(after)
    assert old in answers[turn]
    answers[turn] = answers[turn].replace(old, new)
    return answers


def flipped(case: dict[str, Any], turn: int, index: int) -> list[bytes]:
    answers = answers_of(case)
    data = bytearray(answers[turn])
    data[index] ^= 1
    answers[turn] = bytes(data)
    return answers


def test_an_authority_that_is_not_known_is_no_authority() -> None:
    for case in CARDS:
        rid, index = bytes.fromhex(case["rid"]), case["index"]
        key = authorities().keys[rid, index]
        for keys in ({}, {(rid, index + 1): key}, {(b"\xa0\0\0\0\x65", index): key}):
            assert reason(case, answers_of(case), KnownAuthorities(keys)) == DECISION_CARD_AUTHORITY_UNKNOWN
        without_index = changed(case, KEYS, "8f0199", "8b0199")
        assert reason(case, without_index) == DECISION_CARD_AUTHORITY_UNKNOWN


def test_an_authority_of_the_past_certifies_nobody() -> None:
    for case in CARDS:
        assert reason(case, answers_of(case), authorities(b"\x24\x04")) == DECISION_CERTIFICATE_EXPIRED
        answer_all(
            read_bank_card(OpenVault(), terminal(), OfflineAuthentication(authorities(b"\x24\x05"))), answers_of(case)
        )


def test_without_a_date_nothing_is_held_to_be_past() -> None:
    for case in CARDS:
        undated = terminal()
        undated.today = None
        known = authorities(b"\x24\x04")
        answer_all(read_bank_card(OpenVault(), undated, OfflineAuthentication(known)), answers_of(case))


def test_what_was_revoked_is_revoked_whether_authority_or_issuer() -> None:
    for case in CARDS:
        for serial in (b"\0\0\0", ISSUER_SERIAL):
            known = authorities()
            known.revoked.append((bytes.fromhex(case["rid"]), case["index"], serial))
            assert reason(case, answers_of(case), known) == DECISION_CERTIFICATE_REVOKED


def test_another_authoritys_key_opens_no_certificate() -> None:
    known = authorities()
    (one, other) = known.keys
    known.keys[one], known.keys[other] = known.keys[other], known.keys[one]
    for case in CARDS:
        assert reason(case, answers_of(case), known) == DECISION_CERTIFICATE_WRONG


def test_an_altered_certificate_is_wrong_wherever_it_was_altered() -> None:
    for case in CARDS:
        for turn in (ISSUER, CARD):
            for index in (8, 100, -3):
                assert reason(case, flipped(case, turn, index)) == DECISION_CERTIFICATE_WRONG


def test_a_certificate_that_is_not_there_or_cut_is_wrong() -> None:
    for case in CARDS:
        for turn in (ISSUER, CARD):
            for content in (b"", encode(0x90 if turn == ISSUER else 0x9F46, bytes(100))):
                answers = answers_of(case)
                answers[turn] = encode(0x70, content) + b"\x90\x00"
                assert reason(case, answers) == DECISION_CERTIFICATE_WRONG


def test_changed_exponents_and_rests_of_keys_are_wrong() -> None:
    for before, after in (("9f320103", "9f320105"), ("9f470103", "9f470111"), ("9f470103", "9f480103")):
        assert reason(VISA_CASE, changed(VISA_CASE, KEYS, before, after)) == DECISION_CERTIFICATE_WRONG
    rest = answers_of(MASTERCARD_CASE)[KEYS].find(b"\x92\x24")
    assert reason(MASTERCARD_CASE, flipped(MASTERCARD_CASE, KEYS, rest + 5)) == DECISION_CERTIFICATE_WRONG


def test_changed_static_data_is_wrong() -> None:
    for case in CARDS:
        for before, after in (("5f340101", "5f340102"), ("5f2403301231", "5f2403301230")):
            answers = changed(case, STATIC, before, after)
            if before == "5f340101":
                answers[OPTIONS] = answers[OPTIONS].replace(bytes.fromhex(before), bytes.fromhex(after))
            assert reason(case, answers) == DECISION_CERTIFICATE_WRONG
        profile = ("82022000", "82022001") if case is VISA_CASE else ("82021980", "82021981")
        assert reason(case, changed(case, OPTIONS, profile[0], profile[1])) == DECISION_CERTIFICATE_WRONG
        assert reason(case, changed(case, STATIC, "9f4a0182", "9f4a0195")) == DECISION_CERTIFICATE_WRONG


def test_a_certificate_of_another_card_is_wrong() -> None:
    # Same issuer, another number: everywhere but in the certificate.
    for case in CARDS:
        digits = case["number"].rstrip("F").lower()
        other = digits[:-2] + "26"
        if len(digits) % 2:
            digits, other = digits + "f", digits[:-2] + "26f"
        answers = answers_of(case)
        for turn in (OPTIONS, STATIC):
            answers[turn] = bytes.fromhex(answers[turn].hex().replace(digits.rstrip("f"), other.rstrip("f")))
        assert reason(case, answers) == DECISION_CERTIFICATE_WRONG


def test_the_unpredictable_number_is_signed() -> None:
    for case in CARDS:
        replayed = terminal(unpredictable=b"\x01\x02\x03\x05")
        assert reason(case, answers_of(case), at=replayed) == DECISION_CARD_SIGNATURE_WRONG


def test_the_amount_is_signed() -> None:
    for case in CARDS:
        assert reason(case, answers_of(case), at=terminal(100)) == DECISION_CARD_SIGNATURE_WRONG


def test_all_that_a_visa_like_card_says_of_the_moment_is_signed() -> None:
    index = answers_of(VISA_CASE)[KEYS].find(b"\x9f\x69")
    for offset in (3, 4, 9):
        assert reason(VISA_CASE, flipped(VISA_CASE, KEYS, index + offset)) == DECISION_CARD_SIGNATURE_WRONG


def test_all_that_a_mastercard_like_card_says_with_its_cryptogram_is_signed() -> None:
    for before, after in (("9f270180", "9f270140"), ("9f36020001", "9f36020002"), ("060112", "060113")):
        answers = changed(MASTERCARD_CASE, CRYPTOGRAM, before, after)
        assert reason(MASTERCARD_CASE, answers) == DECISION_CARD_SIGNATURE_WRONG


def test_a_signature_that_is_missing_short_or_altered_is_wrong() -> None:
    for case, turn in ((VISA_CASE, OPTIONS), (MASTERCARD_CASE, CRYPTOGRAM)):
        place = answers_of(case)[turn].find(b"\x9f\x4b\x81\x80")
        assert reason(case, flipped(case, turn, place + 50)) == DECISION_CARD_SIGNATURE_WRONG
        assert reason(case, changed(case, turn, "9f4b8180", "9f6b8180")) == DECISION_CARD_SIGNATURE_WRONG
    plain = encode(0x80, b"\x80\x00\x01" + bytes(8)) + b"\x90\x00"
    answers = answers_of(MASTERCARD_CASE)
    answers[CRYPTOGRAM] = plain
    assert reason(MASTERCARD_CASE, answers) == DECISION_CARD_SIGNATURE_WRONG


def test_a_card_that_declines_or_signs_nothing_is_told_so() -> None:
    for cryptogram in (
        encode(0x80, b"\x00\x00\x01" + bytes(8)),
        encode(0x77, encode(0x9F27, b"\x00") + encode(0x9F36, b"\x00\x01") + encode(0x9F26, bytes(8))),
    ):
        answers = answers_of(MASTERCARD_CASE)
        answers[CRYPTOGRAM] = cryptogram + b"\x90\x00"
        assert reason(MASTERCARD_CASE, answers) == DECISION_CARD_DECLINES
    declining = changed(VISA_CASE, OPTIONS, "9f1007060112032000", "9f1007060112030000")
    assert reason(VISA_CASE, declining) == DECISION_CARD_DECLINES
    assert reason(VISA_CASE, changed(VISA_CASE, OPTIONS, "82022000", "82020000")) == DECISION_CARD_DECLINES
    assert reason(MASTERCARD_CASE, changed(MASTERCARD_CASE, OPTIONS, "82021980", "82021880")) == DECISION_CARD_DECLINES


def test_the_second_card_of_an_issuer_saves_an_operation() -> None:
    authentication = OfflineAuthentication(authorities())
    for case, expected in (
        (VISA_CASE, 3),
        (VISA_CASE, 5),
        (MASTERCARD_CASE, 8),
        (VISA_CASE, 10),
        (MASTERCARD_CASE, 12),
    ):
        answer_all(read_bank_card(OpenVault(), terminal(), authentication), answers_of(case))
        assert authentication.operations == expected
    authentication.use(authorities())
    answer_all(read_bank_card(OpenVault(), terminal(), authentication), answers_of(VISA_CASE))
    assert authentication.operations == 15, "a new list of authorities makes it forget"


class Witness(OfflineAuthentication):
    """It shows what it had opened, once it is over.

    Attributes:
        opened: the buffers, as they are now.
    """

    opened: list[bytearray]

    def end(self) -> None:
        self.opened = [block for _, _, block in self._opened]
        super().end()


def look_ahead(authentication: OfflineAuthentication, answers: list[bytes]) -> list[int]:
    """Hold a conversation as a driver that looks ahead at each command; return how many operations were done by then."""
    conversation = read_bank_card(OpenVault(), terminal(), authentication)
    next(conversation)
    done = []
    try:
        for answer in answers:
            authentication.look_ahead()
            done.append(authentication.operations)
            conversation.send(answer)
    except StopIteration:
        return done
    raise AssertionError(done)


def test_certificates_are_opened_while_the_card_is_at_work() -> None:
    for case, expected in ((VISA_CASE, [0, 0, 0, 0, 0, 0, 1]), (MASTERCARD_CASE, [0, 0, 0, 0, 0, 0, 1, 2])):
        authentication = Witness(authorities())
        assert look_ahead(authentication, answers_of(case)) == expected
        assert authentication.operations == 3, "each certificate is opened once"
        assert look_ahead(authentication, answers_of(case))[-1] == expected[-1] + 2, "the issuer's is kept"
        assert authentication.operations == 5


def is_overwritten(authentication: Witness) -> bool:
    return all(block == bytes(len(block)) for block in authentication.opened)


def test_what_was_opened_is_overwritten_however_the_conversation_ends() -> None:
    for case in CARDS:
        authentication = Witness(authorities())
        look_ahead(authentication, answers_of(case))
        assert len(authentication.opened) == 3
        assert is_overwritten(authentication)
        authentication.look_ahead()  # nobody is there any more
        for turn in (ISSUER, CARD):
            authentication = Witness(authorities())
            wrong = flipped(case, turn, 100)
            assert refusal(NotGenuine, look_ahead, authentication, wrong) == "a certificate does not hold"
            assert is_overwritten(authentication)


def test_what_was_opened_of_a_card_that_leaves_is_overwritten() -> None:
    authentication = Witness(authorities())
    conversation = read_bank_card(OpenVault(), terminal(), authentication)
    next(conversation)
    for answer in answers_of(MASTERCARD_CASE)[:-1]:
        conversation.send(answer)
        authentication.look_ahead()
    conversation.close()
    assert len(authentication.opened) == 2, "it was torn away while it signed"
    assert is_overwritten(authentication)


def test_a_card_signs_by_the_version_that_is_known_here() -> None:
    for before, after in (("9f690701", "9f690702"), ("9f690701", "9f6b0701")):
        assert reason(VISA_CASE, changed(VISA_CASE, KEYS, before, after)) == DECISION_CARD_SIGNATURE_WRONG


def test_a_kept_issuer_is_revoked_and_ages_like_any_other() -> None:
    authentication = OfflineAuthentication(authorities(b"\x24\x05"))
    answer_all(read_bank_card(OpenVault(), terminal(), authentication), answers_of(VISA_CASE))
    later = read_bank_card(OpenVault(), terminal(today=b"\x24\x06\x01"), authentication)
    failed = error_of(later, answers_of(VISA_CASE))
    assert isinstance(failed, NotGenuine)
    assert failed.decision == DECISION_CERTIFICATE_EXPIRED


def test_months_are_over_when_the_next_one_begins() -> None:
    today = b"\x24\x05\x15"
    for yymm, expected in (
        (b"\x24\x04", True),
        (b"\x24\x05", False),
        (b"\x49\x12", False),
        (b"\x50\x01", True),
        (b"\x99\x12", True),
    ):
        assert is_past(yymm, today) == expected
        assert not is_past(yymm, None)


def test_a_recovered_frame_must_be_one() -> None:
    key = PublicKey(b"\xff" * 64, 3, b"\x49\x12")
    for signed in (b"", bytes(64), b"\x01" * 64, bytes(65), bytes(200)):
        assert refusal(NotGenuine, key.recover, signed, DECISION_CERTIFICATE_WRONG, "wrong") == "wrong"


def test_dynamic_data_without_a_cryptogram_is_wrong() -> None:
    for dynamic in (b"", b"\x08", b"\xff" + bytes(40), b"\x00" + bytes(28)):
        try:
            split_cda(dynamic)
        except NotGenuine:
            continue
        raise AssertionError(dynamic)
    assert split_cda(b"\x01\x07\x80" + b"c" * 8 + b"h" * 20) == (0x80, b"c" * 8, b"h" * 20)


def test_sha1_is_that_of_the_standard() -> None:
    assert sha1_of([b"a", b"bc"]).hex() == "a9993e364706816aba3e25717850c26c9cd0d89d"
