"""The package's own errors. A message names what was wrong and what to do, and never a key, a card number or a raw UID."""

from __future__ import annotations


class ProtocolError(Exception):
    """Something that was said breaks the protocol."""


class LocalProtocolError(ProtocolError):
    """We were asked to say something that the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """The other side said something that the protocol does not allow."""


class CborError(RemoteProtocolError):
    """Not the one deterministic encoding of a value that the profile allows (RFC 8949 section 4.2.1)."""


class CoseError(RemoteProtocolError):
    """Not a message that can be trusted (RFC 9052)."""


class BadCose(CoseError):  # noqa: N818 - the status of the wire is BAD_COSE
    """Not a COSE message of this protocol: shape, algorithm or `typ`."""


class UnknownKid(CoseError):  # noqa: N818 - the status of the wire is KID_UNKNOWN
    """Signed with a key that is not known here."""


class BadSignature(CoseError):  # noqa: N818 - the status of the wire is BAD_SIG
    """A signature or tag does not hold (another key, another audience, a changed byte), or there are too few."""


class TapError(RemoteProtocolError):
    """Not a journal record of this protocol."""


class BatchError(RemoteProtocolError):
    """Not a batch of this protocol."""


class AckError(RemoteProtocolError):
    """Not an ack of this protocol."""


class DocumentError(RemoteProtocolError):
    """Not a fare table, medium list or key set of this protocol."""


class ListGapError(DocumentError):
    """A change of a list that does not lead on from the list held: it must be fetched whole."""


class EnrolmentError(RemoteProtocolError):
    """Not an enrolment of this protocol, or not one meant for us."""


class TopUpError(RemoteProtocolError):
    """Not a top-up of this protocol, or not one meant for us."""


class RotationError(RemoteProtocolError):
    """Not a rotation or retirement of this protocol."""


class CardError(ProtocolError):
    """A card said something that it must not say, or cannot be talked to."""


class QrError(ProtocolError):
    """A code that cannot be read as one of ours."""
