"""Gathers the leaves that a close stands on from the tables, makes their root, and proves that one of them is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from clearing.access.models import Principal
from clearing.channels.models import QrPayment, SmsPayment, TopUp
from clearing.endpoint import NotFoundError
from clearing.fleet.keys import KeyStore
from clearing.ingest.models import TapRow
from clearing.pricing.models import Fare
from clearing.pricing.service import MEDIA_BY_WIRE
from clearing.settlement import leaves as kinds
from clearing.settlement.leaves import (
    Leaf,
    channel_leaf,
    day_secret,
    leaf_hasher,
    missing_leaf,
    quoted,
    salt_of,
    tap_leaf,
)
from clearing.settlement.merkle import RootMaker, inclusion_path
from clearing.settlement.totals import Evidence
from protocol.tap import KIND_INTENT, KIND_LOST_RANGE, KIND_OFF, KIND_ON, KIND_REFUSED, KIND_SINGLE

_ROWS_AT_ONCE = 20_000
_OTHER = quoted("other")
_KINDS = (KIND_SINGLE, KIND_ON, KIND_OFF, KIND_REFUSED, KIND_INTENT, KIND_LOST_RANGE)
Gap = tuple[bytes, int, int, int]


@dataclass(frozen=True)
class Proof:
    """That a leaf is under the root of a close.

    Attributes:
        text, salt: of the leaf; its hash is SHA-256 over 0x00, salt and text.
        index, size: its place, and how many leaves there are.
        path: hashes from the leaf upwards (RFC 6962 §2.1.1).
    """

    text: str
    salt: bytes
    index: int
    size: int
    path: tuple[bytes, ...]
    root: bytes


def gather_evidence(session: Session, keys: KeyStore, city: str, day: str) -> Evidence:
    """The root over a priced day, and how many leaves of each kind it has."""
    hash_leaf, maker, verdicts = leaf_hasher(day_secret(keys.close_key, city, day)), RootMaker(), Counter[str]()
    for leaf in all_leaves(session, city, day):
        maker.add(hash_leaf(leaf))
        verdicts[leaf.verdict] += 1
    return Evidence(
        maker.root().hex(),
        maker.size,
        verdicts[kinds.ACCEPTED],
        verdicts[kinds.REFUSED],
        verdicts[kinds.NOT_COUNTED],
        verdicts[kinds.MISSING],
        verdicts[kinds.CHANNEL],
    )


def prove_leaf(session: Session, keys: KeyStore, city: str, day: str, key: str) -> Proof:
    """Prove that what has this key is under the root over the day as it is priced now.

    Raises:
        NotFoundError: the day has no such leaf.
    """
    secret = day_secret(keys.close_key, city, day)
    hash_leaf, hashes, found = leaf_hasher(secret), [], None
    for index, leaf in enumerate(all_leaves(session, city, day)):
        hashes.append(hash_leaf(leaf))
        if leaf.key == key:
            found = (index, leaf)
    if found is None:
        raise NotFoundError(
            f"{day} has nothing named {key} in {city}",
            "name a tap as DEVICE/EPOCH/SEQUENCE, or what a channel brought as sms/SENDER/REFERENCE",
        )
    index, leaf = found
    maker = RootMaker()
    for each in hashes:
        maker.add(each)
    path = tuple(inclusion_path(hashes, index))
    return Proof(leaf.text, salt_of(secret, key), index, len(hashes), path, maker.root())


def all_leaves(session: Session, city: str, day: str) -> Iterator[Leaf]:
    """Every leaf of a day in the one order."""
    yield from _tap_leaves(session, city, day)
    yield from sorted(_channel_leaves(session, city, day), key=lambda leaf: leaf.key.encode())


def _tap_leaves(session: Session, city: str, day: str) -> Iterator[Leaf]:
    """Taps, with the gaps between them each at the place of its first record."""
    gaps = find_gaps(session, city, day)
    gaps.reverse()
    for device, epoch, sequence, leaf in _taps(session, city, day):
        while gaps and gaps[-1][:3] < (device, epoch, sequence):
            yield _gap_leaf(gaps.pop())
        yield leaf
    yield from map(_gap_leaf, reversed(gaps))


def _gap_leaf(gap: Gap) -> Leaf:
    device, epoch, first, last = gap
    return missing_leaf(device.hex(), epoch, first, first, last)


def _taps(session: Session, city: str, day: str) -> Iterator[tuple[bytes, int, int, Leaf]]:
    """Taps in order, each with its fare where it has one: two ordered streams, which no planner can join the slow way."""
    media = {code: quoted(name) for code, name in MEDIA_BY_WIRE.items()}
    words = _Words()
    before, device = b"", ""
    with closing(_fares(session, city, day)) as fares, _records(session, city, day) as records:
        fare = next(fares, None)
        for device_id, epoch, sequence, kind, wire, carrier, record, first, last in records:
            if device_id != before:
                before, device = device_id, device_id.hex()
            place = (device_id, epoch, sequence)
            while fare is not None and fare[0] < place:
                fare = next(fares, None)
            if fare is not None and fare[0] == place:
                medium, charged_minor = words[fare[1]], fare[2]
                leaf = tap_leaf(kinds.ACCEPTED, device, epoch, sequence, medium, words[carrier], charged_minor, record)
            elif kind == KIND_LOST_RANGE:
                leaf = missing_leaf(device, epoch, sequence, first or 0, last or 0)
            else:
                verdict = kinds.REFUSED if kind == KIND_REFUSED else kinds.NOT_COUNTED
                medium = media.get(wire or 0, _OTHER)
                leaf = tap_leaf(verdict, device, epoch, sequence, medium, words[carrier], 0, record)
            yield device_id, epoch, sequence, leaf


class _Words(dict[str, str]):
    """Words as JSON strings: there are few, and millions of leaves with them."""

    def __missing__(self, word: str) -> str:
        self[word] = quoted(word)
        return self[word]


def _records(session: Session, city: str, day: str) -> Any:  # noqa: ANN401 - a result of these columns
    return session.execute(
        select(
            TapRow.device_id,
            TapRow.epoch,
            TapRow.sequence,
            TapRow.kind,
            TapRow.medium,
            TapRow.carrier,
            TapRow.record,
            TapRow.reference_first,
            TapRow.reference_last,
        )
        .where(TapRow.city == city, TapRow.service_day == day, TapRow.kind.in_(_KINDS), TapRow.test.is_(False))
        .order_by(TapRow.device_id, TapRow.epoch, TapRow.sequence),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )


def _fares(session: Session, city: str, day: str) -> Generator[tuple[tuple[bytes, int, int], str, int]]:
    """Place, medium and fare of every ride that a tap began, in the order of places."""
    query = (
        select(Fare.device_id, Fare.epoch, Fare.sequence, Fare.medium, Fare.charged_minor)
        .where(Fare.city == city, Fare.service_day == day, Fare.source == "tap")
        .order_by(Fare.device_id, Fare.epoch, Fare.sequence)
    )
    with session.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}) as rows:
        for device, epoch, sequence, medium, charged_minor in rows:
            yield (device or b"", epoch or 0, sequence or 0), medium, charged_minor


def find_gaps(session: Session, city: str, day: str) -> list[Gap]:
    """Sequence numbers that no record has, before records of this day: (device, epoch, first, last), in order.

    Records arrive in chains without holes, so there are none, unless the service was restored from a backup or somebody has
    reached its database.
    """
    of_day = (
        select(
            TapRow.device_id,
            TapRow.epoch,
            func.min(TapRow.sequence).label("low"),
            func.max(TapRow.sequence).label("high"),
        )
        .where(TapRow.city == city, TapRow.service_day == day)
        .group_by(TapRow.device_id, TapRow.epoch)
        .subquery()
    )
    counted = session.execute(
        select(of_day.c.device_id, of_day.c.epoch, of_day.c.low, of_day.c.high, func.count())
        .join(TapRow, and_(TapRow.device_id == of_day.c.device_id, TapRow.epoch == of_day.c.epoch))
        .where(TapRow.sequence.between(of_day.c.low - 1, of_day.c.high))
        .group_by(of_day.c.device_id, of_day.c.epoch, of_day.c.low, of_day.c.high)
        .order_by(of_day.c.device_id, of_day.c.epoch)
    ).all()
    return [
        gap
        for device, epoch, low, high, count in counted
        if count < high - max(low - 1, 1) + 1
        for gap in _gaps_of(session, device, epoch, low, high, day)
    ]


def _gaps_of(session: Session, device: bytes, epoch: int, low: int, high: int, day: str) -> Iterable[Gap]:
    one = and_(TapRow.device_id == device, TapRow.epoch == epoch)
    before = session.scalar(select(func.max(TapRow.sequence)).where(one, TapRow.sequence < low)) or 0
    stored = session.execute(
        select(TapRow.sequence, TapRow.service_day)
        .where(one, TapRow.sequence.between(low, high))
        .order_by(TapRow.sequence)
    ).all()
    for row in stored:
        if row.sequence > before + 1 and row.service_day == day:
            yield device, epoch, before + 1, row.sequence - 1
        before = row.sequence


def _channel_leaves(session: Session, city: str, day: str) -> Iterator[Leaf]:
    """What channels brought, in no order."""
    texts = _told(SmsPayment.aggregator).where(SmsPayment.city == city, SmsPayment.service_day == day)
    columns = (SmsPayment.status, SmsPayment.reference, SmsPayment.carrier, SmsPayment.fare_minor)
    for name, status, reference, carrier, amount_minor in session.execute(texts.add_columns(*columns)):
        yield channel_leaf("sms", status, name, reference, carrier or "", "sms", amount_minor)
    scans = _told(QrPayment.provider).where(QrPayment.city == city, QrPayment.service_day == day)
    fields = (QrPayment.status, QrPayment.reference, QrPayment.carrier, QrPayment.medium, QrPayment.fare_minor)
    for name, status, reference, carrier, medium, amount_minor in session.execute(scans.add_columns(*fields)):
        yield channel_leaf("qr", status, name, reference, carrier or "", medium, amount_minor)
    sold = _told(TopUp.agent).where(TopUp.city == city, TopUp.service_day == day)
    for name, reference, amount_minor in session.execute(sold.add_columns(TopUp.reference, TopUp.amount_minor)):
        yield channel_leaf("top_up", "sold", name, reference, "", "transport_card", amount_minor)


def _told(sender: InstrumentedAttribute[str]) -> Select[Any]:
    """Names of those who sent something, by the column that says who."""
    return cast("Select[Any]", select(Principal.name).join_from(sender.class_, Principal, Principal.id == sender))
