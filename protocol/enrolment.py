"""How a validator becomes known to the clearing service, and gets its keys (SPEC.md "Enrolment").

A technician is given an invitation, good once: the id of the code, a secret, and the kid of the service's ack key. The device
proves the secret and its own new key; the service answers with everything the device must know, signed with the ack key that
the invitation named, its secret keys wrapped under a key that only the holder of the invitation can derive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cbor import is_integer
from protocol.compat import const, hmac_sha256, sha256
from protocol.cose import ec2_point
from protocol.cose_mac import named_kid
from protocol.errors import BadCose, EnrolmentError
from protocol.fields import U16_MAX, U32_MAX, Layout
from protocol.limits import KEY_SET_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_ID_BYTES = const(8)
_SECRET_BYTES = const(16)
_KID_BYTES = const(8)
_CHECKSUM_BYTES = const(2)
_CODE_BYTES = const(34)
_CODE_CHARACTERS = const(55)
_GROUP = const(5)
_BUNDLE_BYTES = const(184)
_BUNDLE_BYTES_OF_TWO = const(224)
_QR_DAYS = const(3)
_NO_SECRET = bytes(8)
_PROFILE_SHARED_SECRET = const(3)
ENROLMENT_VERSION = const(1)
_REQUEST = Layout("enrolment", EnrolmentError, 6, ((1, 16), (2, 8), (5, 32)), ((4, 1, 3),))
_ENROLLED = Layout("enrolled", EnrolmentError, 9, ((1, 16),), ((2, 0, U32_MAX), (8, 0, U32_MAX)), (9,))


class Invitation:
    """A one-time code.

    Attributes:
        code_id: names the invitation, 8 bytes.
        ack_kid: the key that the answer must be signed with, 8 bytes.
        secret: 16 bytes; never shown but in the printed code.
    """

    __slots__ = ("ack_kid", "code_id", "secret")

    def __init__(self, code_id: bytes, secret: bytes, ack_kid: bytes) -> None:
        self.code_id = code_id
        self.secret = secret
        self.ack_kid = ack_kid

    def proof(self, device: bytes, cose_key: bytes) -> bytes:
        """Return what shows that who asks for `device` with that encoded key holds the secret, 32 bytes."""
        return hmac_sha256(self.secret, device + cose_key)

    def key_encryption_key(self) -> bytes:
        """Return the key that the answer's secrets are wrapped under, 16 bytes."""
        return hmac_sha256(self.secret, b"JOLAQY kek")[:16]


def print_invitation(invitation: Invitation) -> str:
    """Return the code as a technician types it: Crockford's base 32, in groups of five, with a check sum."""
    data = invitation.code_id + invitation.secret + invitation.ack_kid
    data += sha256(data)[:_CHECKSUM_BYTES]
    number = int.from_bytes(data, "big")
    text = ""
    for _ in range(_CODE_CHARACTERS):
        text = _ALPHABET[number & 31] + text
        number >>= 5
    return "-".join([text[start : start + _GROUP] for start in range(0, _CODE_CHARACTERS, _GROUP)])


def parse_invitation(text: str) -> Invitation:
    """Return the invitation that was typed; letters in either case, with or without dashes.

    Raises:
        EnrolmentError: a character is missing, wrong, or too many.
    """
    characters = text.upper().replace("-", "").replace(" ", "").replace("O", "0").replace("I", "1").replace("L", "1")
    if len(characters) != _CODE_CHARACTERS:
        raise EnrolmentError(
            "an invitation has " + str(_CODE_CHARACTERS) + " characters, this one has " + str(len(characters))
        )
    number = 0
    for character in characters:
        value = _ALPHABET.find(character)
        if value < 0:
            raise EnrolmentError("an invitation has no character " + repr(character))
        number = number << 5 | value
    if number >> (8 * _CODE_BYTES):
        raise EnrolmentError("the invitation is mistyped: the check sum does not hold")
    data = number.to_bytes(_CODE_BYTES, "big")
    if sha256(data[:-_CHECKSUM_BYTES])[:_CHECKSUM_BYTES] != data[-_CHECKSUM_BYTES:]:
        raise EnrolmentError("the invitation is mistyped: the check sum does not hold")
    secret_end = _CODE_ID_BYTES + _SECRET_BYTES
    return Invitation(
        data[:_CODE_ID_BYTES], data[_CODE_ID_BYTES:secret_end], data[secret_end : secret_end + _KID_BYTES]
    )


class EarlierKeys:
    """The transit keys of the generation before, while a city's cards are rolled over to new ones.

    Attributes:
        newer: version of the keys in the bundle itself, 1 to 255.
        version: version of these.
        transit_read, transit_debit: masters, 16 bytes each.
    """

    __slots__ = ("newer", "transit_debit", "transit_read", "version")

    def __init__(self, newer: int, version: int, transit_read: bytes, transit_debit: bytes) -> None:
        self.newer = newer
        self.version = version
        self.transit_read = transit_read
        self.transit_debit = transit_debit


class KeyBundle:
    """The secret keys that a validator holds.

    Attributes:
        transit_read, transit_debit: masters for keys of transport cards, diversified per card; 16 bytes each.
        token_key: for tokens of media, 32 bytes.
        qr_day_keys: key by day number (unix days, UTC) for rotating codes, 32 bytes each; three days.
        token_key_version: which token key this is.
        vehicle_secret: what the validators of the vehicle share, 8 bytes; zeros from a service that has none.
        earlier: the transit keys before, while cards with them are about; None for most of the time.
    """

    __slots__ = (
        "earlier",
        "qr_day_keys",
        "token_key",
        "token_key_version",
        "transit_debit",
        "transit_read",
        "vehicle_secret",
    )

    def __init__(
        self,
        transit_read: bytes,
        transit_debit: bytes,
        token_key: bytes,
        qr_day_keys: dict[int, bytes],
        token_key_version: int,
        vehicle_secret: bytes = _NO_SECRET,
        earlier: EarlierKeys | None = None,
    ) -> None:
        self.transit_read = transit_read
        self.transit_debit = transit_debit
        self.token_key = token_key
        self.qr_day_keys = qr_day_keys
        self.token_key_version = token_key_version
        self.vehicle_secret = vehicle_secret
        self.earlier = earlier

    def encode(self) -> bytes:
        """Return the bundle as it is wrapped, 184 bytes, or 224 with keys of two generations."""
        data = self.transit_read + self.transit_debit + self.token_key
        for day in sorted(self.qr_day_keys):
            data += day.to_bytes(4, "big") + self.qr_day_keys[day]
        data += self.token_key_version.to_bytes(4, "big")
        data += bytes(_BUNDLE_BYTES - len(data) - len(self.vehicle_secret)) + self.vehicle_secret
        earlier = self.earlier
        if earlier is None:
            return data
        return data + bytes((earlier.newer, earlier.version)) + bytes(6) + earlier.transit_read + earlier.transit_debit


def decode_key_bundle(data: bytes) -> KeyBundle:
    """Return the bundle that was unwrapped.

    Raises:
        EnrolmentError: it has not the size of one.
    """
    earlier = None
    if len(data) == _BUNDLE_BYTES_OF_TWO:
        earlier = EarlierKeys(data[184], data[185], data[192:208], data[208:])
        data = data[:_BUNDLE_BYTES]
    if len(data) != _BUNDLE_BYTES:
        raise EnrolmentError(
            "a key bundle has " + str(_BUNDLE_BYTES) + " bytes, or with two generations of keys 40 more"
        )
    days = {}
    for index in range(_QR_DAYS):
        start = 64 + 36 * index
        days[int.from_bytes(data[start : start + 4], "big")] = data[start + 4 : start + 36]
    version = int.from_bytes(data[64 + 36 * _QR_DAYS : 68 + 36 * _QR_DAYS], "big")
    return KeyBundle(data[:16], data[16:32], data[32:64], days, version, data[-len(_NO_SECRET) :], earlier)


def is_wrapped_bundle(value: object) -> bool:
    """Return whether that may be a key bundle, wrapped: RFC 3394 adds 8 bytes."""
    return isinstance(value, bytes) and len(value) in (_BUNDLE_BYTES + 8, _BUNDLE_BYTES_OF_TWO + 8)


class EnrolmentRequest:
    """What a device says of itself (typ "enrolment", signed or authenticated with the key it registers).

    Attributes:
        device: 16 bytes, chosen by the device.
        code_id: of the invitation, 8 bytes.
        key: the COSE_Key it will sign with; on profile 3 the name of the shared one.
        profile: 1 key in a secure element, 2 software key, 3 shared secret.
        proof: `Invitation.proof`, 32 bytes.
    """

    __slots__ = ("code_id", "device", "key", "profile", "proof")

    def __init__(self, device: bytes, code_id: bytes, key: dict[int, int | bytes], profile: int, proof: bytes) -> None:
        self.device = device
        self.code_id = code_id
        self.key = key
        self.profile = profile
        self.proof = proof


def encode_request(request: EnrolmentRequest) -> bytes:
    return cbor.encode(
        {
            0: ENROLMENT_VERSION,
            1: request.device,
            2: request.code_id,
            3: request.key,
            4: request.profile,
            5: request.proof,
        }
    )


def decode_request(payload: bytes) -> EnrolmentRequest:
    """Return the request.

    Raises:
        EnrolmentError: the payload has not the shape of one.
    """
    fields = _REQUEST.read(payload)
    _require_key(named_kid if fields[4] == _PROFILE_SHARED_SECRET else ec2_point, fields[3])
    return EnrolmentRequest(fields[1], fields[2], fields[3], fields[4], fields[5])


class Enrolled:
    """What the service answers (typ "enrolled", signed with the ack key that the invitation names).

    Attributes:
        device: 16 bytes, echoed.
        epoch: in which the device counts from now on.
        ack_key, document_key: COSE_Keys of the service.
        audience: of everything that is signed.
        wrapped_keys: the `KeyBundle`, wrapped.
        line, city: numbers; `vehicle`: code of the vehicle it is mounted in.
        server_time_s: unix seconds.
        key_set: the signed key set in force, from which on `keyset` says who may sign what; absent where there is none.
    """

    __slots__ = (
        "ack_key",
        "audience",
        "city",
        "device",
        "document_key",
        "epoch",
        "key_set",
        "line",
        "server_time_s",
        "vehicle",
        "wrapped_keys",
    )

    def __init__(
        self,
        *,
        device: bytes,
        epoch: int,
        ack_key: dict[int, int | bytes],
        document_key: dict[int, int | bytes],
        audience: str,
        wrapped_keys: bytes,
        line: int,
        vehicle: str,
        city: int,
        server_time_s: int,
        key_set: bytes | None = None,
    ) -> None:
        self.device = device
        self.epoch = epoch
        self.ack_key = ack_key
        self.document_key = document_key
        self.audience = audience
        self.wrapped_keys = wrapped_keys
        self.line = line
        self.vehicle = vehicle
        self.city = city
        self.server_time_s = server_time_s
        self.key_set = key_set


def encode_enrolled(enrolled: Enrolled) -> bytes:
    fields: dict[int, Any] = {
        0: ENROLMENT_VERSION,
        1: enrolled.device,
        2: enrolled.epoch,
        3: enrolled.ack_key,
        4: enrolled.document_key,
        5: enrolled.audience,
        6: enrolled.wrapped_keys,
        7: [enrolled.line, enrolled.vehicle, enrolled.city],
        8: enrolled.server_time_s,
    }
    if enrolled.key_set is not None:
        fields[9] = enrolled.key_set
    return cbor.encode(fields)


def decode_enrolled(payload: bytes) -> Enrolled:
    """Return the answer.

    Raises:
        EnrolmentError: the payload has not the shape of one.
    """
    fields = _ENROLLED.read(payload)
    if not is_wrapped_bundle(fields[6]):
        raise _ENROLLED.refusal("key 6 has 192 or 232 bytes")
    _require_key(ec2_point, fields[3])
    _require_key(ec2_point, fields[4])
    key_set = fields.get(9, b" ")
    if not isinstance(key_set, bytes) or not 0 < len(key_set) <= KEY_SET_BYTES_MAX:
        raise EnrolmentError("a signed key set has 1 to " + str(KEY_SET_BYTES_MAX) + " bytes")
    place = fields[7]
    if not (isinstance(place, list) and len(place) == 3 and isinstance(place[1], str) and isinstance(fields[5], str)):
        raise EnrolmentError("the answer names an audience and [line, vehicle, city]")
    if not (is_integer(place[0], 0, U16_MAX) and is_integer(place[2], 0, U16_MAX)):
        raise EnrolmentError("line and city are numbers")
    return Enrolled(
        device=fields[1],
        epoch=fields[2],
        ack_key=fields[3],
        document_key=fields[4],
        audience=fields[5],
        wrapped_keys=fields[6],
        line=place[0],
        vehicle=place[1],
        city=place[2],
        server_time_s=fields[8],
        key_set=fields.get(9),
    )


def _require_key(read: Callable[[object], object], key: object) -> None:
    try:
        read(key)
    except BadCose as error:
        raise EnrolmentError("key: " + str(error)) from None
