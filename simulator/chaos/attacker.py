"""Somebody who hears every message, holds a stolen validator, and sends what he likes to whom he likes.

He cannot sign as another validator or as the service. What he may do is lose time for people; never money, never a tap.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from clearing.fleet.keys import Es256Signer
from protocol import cose
from protocol.ack import STATUS_OK, Ack, encode_ack
from protocol.batch import Batch, decode_batch, encode_batch, next_head
from protocol.cose import TYP_ACK, TYP_BATCH, TYP_ENROLLED, TYP_KEY_SET, sign1
from protocol.cose_sign import sign_all
from protocol.decisions import DECISION_ACCEPTED
from protocol.errors import ProtocolError
from protocol.keyset import ROLE_ACK, ROLE_ROOT, KeySet, encode_key_set
from protocol.tap import CLOCK_SYNCHRONISED, KIND_SINGLE, MEDIUM_CASH, Tap, encode_tap
from simulator.chaos.keys import derive_roots

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from simulator.chaos.office import Office
    from simulator.chaos.schedule import Faults
    from simulator.chaos.stage import Stolen
    from simulator.world import World

_KEPT = 40
_BATCHES = b"POST /v1/batches "
_KEY_SETS = b"GET /v1/key-sets/"
_LASTS_S = 86_400
_ANOTHER_CITY = "astana"


class Attacker:
    """The attacker.

    Args:
        stolen: the validator whose key he has.
        ack_kid: names the service's ack key, which he has not.
    """

    def __init__(self, world: World, office: Office, faults: Faults, stolen: Stolen, ack_kid: bytes, city: str) -> None:
        self._world = world
        self._office = office
        self._faults = faults
        self._stolen = stolen
        self._ack_kid = ack_kid
        self._city = city
        self._signer = Es256Signer(stolen.private)
        self._requests: deque[bytes] = deque(maxlen=_KEPT)
        self._answers: dict[str, deque[bytes]] = {}

    def record(self, name: str, request: bytes, answer: bytes) -> None:
        """Hear an exchange."""
        if request.startswith(_BATCHES):
            self._requests.append(request)
            self._answers.setdefault(name, deque(maxlen=_KEPT)).append(answer)

    # Towards the service.

    def act(self) -> None:
        """Do something to the service, if it is time."""
        if self._requests and (chance := self._faults.strike("replay_request")):
            self._office.handle(chance.choice(self._requests))
        if self._requests and (chance := self._faults.strike("forge_request")):
            forged = self._forge_request(chance.choice(self._requests), chance)
            if forged is not None:
                self._office.handle(forged)

    def _forge_request(self, request: bytes, chance: random.Random) -> bytes | None:
        batch = _batch_in(request)
        if batch is None:
            return None
        message = _body(request)
        parsed = cose.parse(message)
        way = chance.randrange(5)
        if way == 0:  # the device's name, another key
            signature = self._signer.sign(message)
            message = cose.assemble(parsed.protected, parsed.payload, signature)
        elif way == 1:  # a key that is known, in the device's name
            message = sign1(parsed.payload, TYP_BATCH, self._city, self._signer)
        elif way == 2:  # a ride more, under the old signature
            self._add_ride(batch)
            message = cose.assemble(parsed.protected, encode_batch(batch), parsed.signature)
        elif way == 3:  # meant for another city
            message = sign1(self._own_batch(batch.nonce, with_ride=True), TYP_BATCH, _ANOTHER_CITY, self._signer)
        else:  # another kind of message
            message = sign1(self._own_batch(batch.nonce, with_ride=True), TYP_ENROLLED, self._city, self._signer)
        return _post(message)

    def _add_ride(self, batch: Batch) -> None:
        sequence = batch.first_sequence + len(batch.records)
        batch.records = [*batch.records, encode_tap(_ride(sequence, self._world.now_ms // 1000))]
        batch.head_after = next_head(batch.head_after, batch.records[-1])

    def _own_batch(self, nonce: bytes, *, with_ride: bool) -> bytes:
        """A batch of the stolen validator, under somebody else's nonce."""
        stolen = self._stolen
        batch = Batch(
            device=stolen.device,
            epoch=1,
            first_sequence=stolen.mark + 1,
            records=[],
            head_before=stolen.head,
            head_after=stolen.head,
            nonce=nonce,
            device_time_s=self._world.now_ms // 1000,
            clock_quality=CLOCK_SYNCHRONISED,
            firmware=1,
        )
        if with_ride:
            self._add_ride(batch)
        return encode_batch(batch)

    # Towards a validator.

    def answer_instead(self, name: str, request: bytes) -> bytes | None:
        """Swallow a request and answer it in the service's place, or let it pass."""
        if request.startswith(_KEY_SETS) and self._faults.strike("forge_key_set"):
            number = request[len(_KEY_SETS) :].partition(b"?")[0]
            # A request that was cut off on its way names no number.
            return self._forge_key_set(int(number)) if number.isdigit() else None
        batch = _batch_in(request) if request.startswith(_BATCHES) else None
        if batch is None:
            return None
        heard = self._answers.get(name)
        if heard and (chance := self._faults.strike("replay_answer")):
            return chance.choice(heard)
        if chance := self._faults.strike("forge_answer"):
            return chance.choice(self._forgeries())(batch)
        return None

    def _forge_key_set(self, number: int) -> bytes:
        """A key set with his own keys, signed by as many roots as it names: all of them his."""
        roots = derive_roots("attacker")
        keys = {root.kid: ((root.x, root.y), ROLE_ROOT) for root in roots.signers}
        keys[self._signer.kid] = (self._signer.x, self._signer.y), ROLE_ACK
        key_set = KeySet(number, self._world.now_ms // 1000 + _LASTS_S, keys, roots.threshold)
        signers = roots.signers[: roots.threshold]
        return _answer(sign_all(encode_key_set(key_set), TYP_KEY_SET, self._city, signers))

    def tamper(self, name: str, request: bytes, answer: bytes) -> bytes:
        """Let an answer pass, or put another in its place."""
        del request
        heard = self._answers.get(name)
        if heard and len(heard) > 1 and (chance := self._faults.strike("replay_answer")):
            return chance.choice(heard)
        return answer

    def _forgeries(self) -> list[Callable[[Batch], bytes | None]]:
        return [self._unsigned_ack, self._ack_by_another_key, self._ack_of_the_stolen_one, self._unsigned_refusal]

    def _ack(self, batch: Batch) -> bytes:
        """What the device would like to hear."""
        moment_s, moment_ms = divmod(self._world.now_ms, 1000)
        return encode_ack(
            Ack(
                device=batch.device,
                epoch=batch.epoch,
                sequence=batch.first_sequence - 1 + len(batch.records),
                head=batch.head_after,
                nonce=batch.nonce,
                server_time_s=moment_s,
                server_time_ms=moment_ms,
                status=STATUS_OK,
            )
        )

    def _unsigned_ack(self, batch: Batch) -> bytes:
        return _answer(cose.assemble(cose.protect(self._ack_kid, TYP_ACK), self._ack(batch), bytes(64)))

    def _ack_by_another_key(self, batch: Batch) -> bytes:
        payload = self._ack(batch)
        protected = cose.protect(self._ack_kid, TYP_ACK)
        structure = cose.signature_input(protected, cose.external_aad(self._city), payload)
        return _answer(cose.assemble(protected, payload, self._signer.sign(structure)))

    def _ack_of_the_stolen_one(self, batch: Batch) -> bytes | None:
        """A true ack, with the device's nonce, for another device."""
        message = sign1(self._own_batch(batch.nonce, with_ride=False), TYP_BATCH, self._city, self._signer)
        return self._office.handle(_post(message))

    def _unsigned_refusal(self, batch: Batch) -> bytes:
        del batch
        return b"HTTP/1.1 403 -\r\nContent-Length: 0\r\n\r\n"


def _ride(sequence: int, now_s: int) -> Tap:
    return Tap(
        sequence=sequence,
        tapped_at_s=now_s,
        clock_quality=CLOCK_SYNCHRONISED,
        uptime_ms=1,
        boot=1,
        kind=KIND_SINGLE,
        medium=MEDIUM_CASH,
        fare_minor=20_000,
        category=1,
        decision=DECISION_ACCEPTED,
    )


def _body(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


def _batch_in(request: bytes) -> Batch | None:
    try:
        return decode_batch(cose.parse(_body(request)).payload)
    except ProtocolError:
        return None


def _post(message: bytes) -> bytes:
    return _BATCHES + b"HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(message) + message


def _answer(message: bytes) -> bytes:
    return b"HTTP/1.1 200 -\r\nContent-Length: %d\r\n\r\n" % len(message) + message
