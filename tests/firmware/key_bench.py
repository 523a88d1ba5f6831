"""Key sets of a service on the bench, and a bench whose device has the first one."""

from __future__ import annotations

from firmware.key_sets import load_key_set
from firmware.keys import Membership
from protocol import cose_sign, keyset
from protocol.cose import TYP_KEY_SET, ec2_point
from protocol.enrolment import encode_enrolled
from tests.firmware.bench_board import NOW_S, Key
from tests.firmware.bench_service import ACK_KEY, AUDIENCE, DOCUMENT_KEY, Bench, make_bundle, make_enrolled

ROOT = Key(0x5001)
ANOTHER_ROOT = Key(0x5002)
NEXT_ACK_KEY = Key(0x6001)
LIFE_S = 90 * 86_400
ROLES = (
    (ROOT, keyset.ROLE_ROOT),
    (ACK_KEY, keyset.ROLE_ACK),
    (DOCUMENT_KEY, keyset.ROLE_LIST | keyset.ROLE_FARE_TABLE | keyset.ROLE_TICKET),
)
WITH_NEXT_ACK_KEY = ROLES + ((NEXT_ACK_KEY, keyset.ROLE_ACK),)  # noqa: RUF005 - MicroPython has no star here


def make_set(
    number: int, roles: tuple[tuple[Key, int], ...] = ROLES, root: Key = ROOT, expires_s: int = NOW_S + LIFE_S
) -> bytes:
    """Return a signed key set."""
    keys = {key.kid: (ec2_point(key.cose_key), role) for key, role in roles}
    payload = keyset.encode_key_set(keyset.KeySet(number, expires_s, keys, 1))
    return cose_sign.sign_all(payload, TYP_KEY_SET, AUDIENCE, [root])


def path(number: int) -> str:
    return "/v1/key-sets/" + str(number) + "?city=" + AUDIENCE


def with_key_set(first: bytes | None = None, bench: Bench | None = None) -> Bench:
    """Return a bench whose device was enrolled with a key set, as it is after a start."""
    bench = bench or Bench(sectors=7)
    enrolled = make_enrolled(bench.identity.device)
    enrolled.key_set = first or make_set(1)
    bench.board.store.write("enrolled", encode_enrolled(enrolled))
    bench.membership = Membership(
        bench.board, enrolled, make_bundle(), b"documents", load_key_set(bench.board, enrolled)
    )
    bench.start()
    return bench
