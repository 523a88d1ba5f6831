"""What every schedule begins with, made once: a migrated database with a city in it, and validators that are enrolled.

A schedule gets copies. The keys are derived and protect nothing, see `simulator.keys`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clearing.access.service import LOCAL
from clearing.commands import prepare
from clearing.database import Database
from clearing.fleet.documents import DENY_LIST, FARE_TABLE, find_document, wanted_versions
from clearing.fleet.keys import Es256Signer
from clearing.fleet.models import Invitation
from firmware.enrol import enrol
from firmware.journal import lost_range
from firmware.keys import load_identity
from firmware.loop import Loop
from protocol import cbor, enrolment
from protocol.ack import STATUS_OK_FLAGGED, WANTED_DENY_LIST, WANTED_FARE_TABLE
from protocol.batch import Batch, encode_batch, genesis_head, next_head
from protocol.cose import TYP_BATCH, sign1
from protocol.tap import CLOCK_SYNCHRONISED
from simulator.chaos.board import ChaosBoard, Rtc, Store
from simulator.chaos.keys import ChaosKeys
from simulator.chaos.network import Connection
from simulator.chaos.office import Office
from simulator.chaos.parts import OfficeParts
from simulator.flash import NorFlash
from simulator.keys import derive_keys
from simulator.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from clearing.fleet.keys import KeyStore

CITY = "almaty"
CITY_NUMBER = 1
ZONE = "Asia/Almaty"
# Wednesday 15 May 2024, 08:00 in Almaty.
START_MS = 1_715_742_000_000
# The day before: each schedule begins with secret keys of yesterday.
_ENROLLED_MS = START_MS - 86_400_000
VEHICLES = ("A-101", "A-104", "A-107")
_STOLEN_VEHICLE = "A-110"
_LASTS_MS = 7 * 86_400_000
_LOSSES = 1_000_000


@dataclass(frozen=True)
class Stolen:
    """A validator whose key an attacker has.

    Attributes:
        mark, head: it has told the service that it lost very many records, so that its acks name a high sequence.
    """

    device: bytes
    private: bytes
    mark: int
    head: bytes


@dataclass(frozen=True)
class Stage:
    """What a schedule begins with.

    Attributes:
        database: a file to copy.
        stores: of each enrolled validator, by vehicle, with the documents in force.
    """

    database: Path
    keys: dict[str, bytes]
    stores: dict[str, dict[str, bytes]]
    stolen: Stolen

    def key_store(self) -> KeyStore:
        return ChaosKeys(self.keys)


def prepare_stage(folder: Path) -> Stage:
    """Make the database and enrol the validators."""
    keys = derive_keys(0)
    path = folder / "stage.db"
    database = Database(f"sqlite:///{path}")
    prepare(database, ChaosKeys(keys), _ENROLLED_MS, [CITY])
    database.close()
    office = Office(World(0, _ENROLLED_MS), path, ChaosKeys(keys), OfficeParts())
    stores = {vehicle: enrol_board(office, vehicle, {}, 1) for vehicle in (*VEHICLES, _STOLEN_VEHICLE)}
    for store in stores.values():
        store.update(_documents(office))
    device, private = cbor.decode(stores.pop(_STOLEN_VEHICLE)["identity"])
    stolen = _claim_losses(office, device, private)
    office.stop()
    return Stage(path, keys, stores, stolen)


def _documents(office: Office) -> dict[str, bytes]:
    """The documents in force, as a validator keeps them: its files are named like their kinds."""
    found = {}
    with office.database.reading() as session:
        wanted = wanted_versions(session, CITY, START_MS // 1000)
        for kind, number in ((FARE_TABLE, wanted[WANTED_FARE_TABLE]), (DENY_LIST, wanted[WANTED_DENY_LIST])):
            document = find_document(session, kind, number)
            assert document is not None
            found[kind] = document.body
    return found


def _claim_losses(office: Office, device: bytes, private: bytes) -> Stolen:
    """Let the stolen validator send a record that stands for a million."""
    before, record = genesis_head(device, 1), lost_range(1, _LOSSES)
    head = next_head(before, record)
    batch = Batch(
        device=device,
        epoch=1,
        first_sequence=1,
        records=[record],
        head_before=before,
        head_after=head,
        nonce=bytes(8),
        device_time_s=_ENROLLED_MS // 1000,
        clock_quality=CLOCK_SYNCHRONISED,
        firmware=1,
    )
    answer = office.receiver.receive(sign1(encode_batch(batch), TYP_BATCH, CITY, Es256Signer(private)))
    assert answer.status == STATUS_OK_FLAGGED
    return Stolen(device, private, _LOSSES, head)


def enrol_board(office: Office, vehicle: str, files: dict[str, bytes], times: int) -> dict[str, bytes]:
    """Let a technician enrol a validator, for the so many-th time, and return its files."""
    world = World(times, office.clock.now_ms())
    dial = lambda: Connection(lambda connection, request: connection.deliver(office.handle(request) or b""))  # noqa: E731
    store = Store(files, lambda _: None)
    board = ChaosBoard(world, NorFlash(1), store, Rtc(), world.chance(vehicle), dial, lambda *_: None, lambda _: None)
    loop = Loop(board)
    loop.spawn(enrol(board, loop, invite(office, vehicle, times)))
    while loop.run_ready():
        pass
    assert load_identity(board) is not None
    return files


def invite(office: Office, vehicle: str, times: int) -> str:
    """Return an invitation for a vehicle; the service would draw a random one, a simulation must not."""
    digest = hashlib.sha256(f"{vehicle} {times}".encode()).digest()
    invitation = enrolment.Invitation(digest[:8], digest[8:24], office.keys.ack.kid)
    now_ms = office.clock.now_ms()
    with office.database.writing() as session:
        session.add(
            Invitation(
                code_id=invitation.code_id,
                secret=invitation.secret,
                city=CITY,
                vehicle=vehicle,
                created_by=LOCAL,
                created_at_ms=now_ms,
                expires_at_ms=now_ms + _LASTS_MS,
            )
        )
    return enrolment.print_invitation(invitation)
