"""Speaks to an acquirer over HTTP: one request for each operation, under its reference.

    POST /v1/operations            {"reference", "kind", "amount_minor", "currency", "original", "liability", "sealed"}
    GET  /v1/operations/REFERENCE  what became of it; 404 when the acquirer has never heard of it

Both are answered by `{"reference", "status", "amount_minor", "currency", "acquirer_reference", "code"}`; the status is `done`,
`refused` or `pending`. The reference is sent as `Idempotency-Key` as well: sent twice, it is done once. `sealed` is what the
validator sealed for the acquirer, in base64; nobody here can open it.

An answer that does not come in time, is cut, is no answer, or is about something else than was asked is not an answer: what
became of the operation is then not known, and is asked by its reference before anything else is tried.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from clearing.acquiring.states import ASKED, DONE, REFUSED

TIMEOUT_S = 10.0
_ANSWER_BYTES_MAX = 16_384
_TEXT_CHARACTERS_MAX = 64
_OUTCOMES = {"done": DONE, "refused": REFUSED, "pending": ASKED}


class NoAnswerError(Exception):
    """Nobody knows what became of the request; the message says why, and repeats nothing of what was sent."""


class UsedBeforeError(NoAnswerError):
    """The acquirer knows the reference, with something else under it: a back office restored from an older copy asks anew."""


@dataclass(frozen=True)
class Request:
    """What is asked of the acquirer.

    Attributes:
        original: reference of what is captured or given back.
        liability: `issuer` where the issuer bears what it has declined; otherwise empty.
        sealed: base64 of what the validator sealed; empty where nothing is authorised.
    """

    reference: str
    kind: str
    amount_minor: int
    currency: str
    original: str = ""
    liability: str = ""
    sealed: str = ""

    def body(self) -> bytes:
        return json.dumps(self.__dict__, sort_keys=True).encode()


@dataclass(frozen=True)
class Answer:
    """What the acquirer says of an operation.

    Attributes:
        outcome: `done`, `refused`, or `asked` while it cannot say.
        code: why it was refused.
    """

    reference: str
    outcome: str
    amount_minor: int
    currency: str
    acquirer_reference: str
    code: str


class AcquirerClient:
    """One connection to an acquirer, opened when it is needed and again after a fault."""

    def __init__(self, url: str, token: str = "", timeout_s: float = TIMEOUT_S) -> None:
        """Remember where it is.

        Raises:
            ValueError: not an HTTP address.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url} is no address of an acquirer: write https://HOST or https://HOST:PORT/PATH")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        self._path = parts.path.rstrip("/") + "/v1/operations"
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def ask(self, request: Request) -> Answer:
        """Ask for an operation.

        Raises:
            UsedBeforeError: its reference was used for something else.
            NoAnswerError: it is not known what became of it.
        """
        headers = self._headers | {"Idempotency-Key": request.reference}
        status, body = self._exchange("POST", self._path, request.body(), headers)
        if status == 409:
            raise UsedBeforeError("the acquirer has done something else under this reference")
        if status not in {200, 201, 202}:
            raise NoAnswerError(f"the acquirer answered {status}")
        return read_answer(body)

    def find(self, reference: str) -> Answer | None:
        """What became of an operation; nothing when the acquirer has never heard of it.

        Raises:
            NoAnswerError: it is still not known.
        """
        status, body = self._exchange("GET", f"{self._path}/{quote(reference, safe='')}", None, self._headers)
        if status == 404:
            return None
        if status not in {200, 202}:
            raise NoAnswerError(f"the acquirer answered {status}")
        return read_answer(body)

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            answer = response.read(_ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise NoAnswerError(f"no answer: {type(error).__name__}") from error
        if len(answer) > _ANSWER_BYTES_MAX:
            self._connection.close()
            raise NoAnswerError("the answer is too long")
        return response.status, answer

    def close(self) -> None:
        self._connection.close()


def read_answer(body: bytes) -> Answer:
    """Read an answer.

    Raises:
        NoAnswerError: it is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoAnswerError("the answer is no JSON") from error
    if not isinstance(value, dict):
        raise NoAnswerError("the answer is no object")
    outcome, amount = _OUTCOMES.get(str(value.get("status"))), value.get("amount_minor")
    if outcome is None or not isinstance(amount, int) or isinstance(amount, bool):
        raise NoAnswerError("the answer has no status or no amount")
    names = ("reference", "currency", "acquirer_reference", "code")
    reference, currency, acquirer_reference, code = (_text(value, name) for name in names)
    return Answer(reference, outcome, amount, currency, acquirer_reference, code)


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name, "")
    if not isinstance(text, str) or len(text) > _TEXT_CHARACTERS_MAX or not text.isprintable():
        raise NoAnswerError(f"the answer's {name} is no short text")
    return text
