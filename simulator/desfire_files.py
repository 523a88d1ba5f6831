"""The files of a virtual DESFire application: what each holds, who may do what with it, and what a commit makes of it.

What a transaction writes to a backup, value or record file is there once it is committed, and gone when it is not. A standard
file is written at once.
"""

from __future__ import annotations

from typing import Any

STANDARD = "standard"
BACKUP = "backup"
VALUE = "value"
LINEAR = "linear"
CYCLIC = "cyclic"
TRANSACTION_MAC = "transaction mac"

PLAIN, MAC, FULL = 0, 1, 3
FREE = 0x0E
_READ, _WRITE, _BOTH, _CHANGE = 12, 8, 4, 0


class BoundaryError(Exception):
    """A command reaches beyond what a file holds, or may hold."""


class File:
    """What every file has.

    Attributes:
        kind: one of the names above.
        mode: CommMode: 0 plain, 1 MAC, 3 full.
        rights: access rights as on the wire, little-endian; the first is the file's own, further ones are additional.
    """

    def __init__(self, kind: str, mode: int, rights: list[int]) -> None:
        self.kind = kind
        self.mode = mode
        self.rights = rights

    def _allows(self, key: int | None, *shifts: int) -> bool:
        holders = {rights >> shift & 0x0F for rights in self.rights for shift in shifts}
        return FREE in holders or (key is not None and key in holders)

    def may_read(self, key: int | None) -> bool:
        return self._allows(key, _READ, _BOTH)

    def may_write(self, key: int | None) -> bool:
        return self._allows(key, _WRITE, _BOTH)

    def may_do_all(self, key: int | None) -> bool:
        return self._allows(key, _BOTH)

    def may_change(self, key: int | None) -> bool:
        """Return whether that key may change the file's settings; no additional right gives that."""
        return self.rights[0] >> _CHANGE & 0x0F == key

    def commit(self) -> None:
        """Make what was written count."""

    def abort(self) -> None:
        """Forget what was written."""

    def is_changed(self) -> bool:
        return False

    def to_image(self) -> dict[str, Any]:
        return {"kind": self.kind, "mode": self.mode, "rights": self.rights}


class DataFile(File):
    """Bytes; a standard or a backup file.

    Attributes:
        content: as committed.
    """

    def __init__(self, kind: str, mode: int, rights: list[int], content: bytes) -> None:
        super().__init__(kind, mode, rights)
        self.content = content
        self._next: bytes | None = None

    def read(self, offset: int, size: int) -> bytes:
        if offset >= len(self.content) or offset + size > len(self.content):
            raise BoundaryError
        return self.content[offset : offset + size] if size else self.content[offset:]

    def write(self, offset: int, data: bytes) -> None:
        content = self.content if self._next is None else self._next
        if not data or offset + len(data) > len(content):
            raise BoundaryError
        content = content[:offset] + data + content[offset + len(data) :]
        if self.kind == STANDARD:
            self.content = content
        else:
            self._next = content

    def is_changed(self) -> bool:
        return self._next is not None

    def commit(self) -> None:
        if self._next is not None:
            self.content, self._next = self._next, None

    def abort(self) -> None:
        self._next = None

    def to_image(self) -> dict[str, Any]:
        return super().to_image() | {"content": self.content.hex()}


class ValueFile(File):
    """A number between two limits.

    Attributes:
        value: as committed.
        lower, upper: its limits.
        limited_credit: whether so much as the last transaction debited may be given back with lesser rights.
        debits, credits: what was committed, in order: what the card itself can witness.
    """

    def __init__(
        self, mode: int, rights: list[int], limits: tuple[int, int], value: int, *, limited_credit: bool
    ) -> None:
        super().__init__(VALUE, mode, rights)
        self.lower, self.upper = limits
        self.value = value
        self.limited_credit = limited_credit
        self.debits: list[int] = []
        self.credits: list[int] = []
        self.returnable = 0
        self._taken = 0
        self._given = 0

    def debit(self, amount: int) -> None:
        # What this transaction has credited cannot be debited before it is committed.
        if amount < 0 or self.value - self._taken - amount < self.lower:
            raise BoundaryError
        self._taken += amount

    def credit(self, amount: int) -> None:
        if amount < 0 or self.value + self._given + amount > self.upper:
            raise BoundaryError
        self._given += amount

    def credit_limited(self, amount: int) -> None:
        if not self.limited_credit or amount > self.returnable:
            raise BoundaryError
        self.credit(amount)
        self.returnable -= amount

    def is_changed(self) -> bool:
        return bool(self._taken or self._given)

    def commit(self) -> None:
        if self._taken:
            self.debits.append(self._taken)
            self.returnable = self._taken
        if self._given:
            self.credits.append(self._given)
        self.value += self._given - self._taken
        self._taken = self._given = 0

    def abort(self) -> None:
        self._taken = self._given = 0

    def to_image(self) -> dict[str, Any]:
        return super().to_image() | {
            "limits": [self.lower, self.upper],
            "value": self.value,
            "limited_credit": self.limited_credit,
            "returnable": self.returnable,
        }


class RecordFile(File):
    """Records of one size; a cyclic file forgets the oldest, and keeps one fewer than it has room for."""

    def __init__(self, kind: str, mode: int, rights: list[int], size: int, room: int) -> None:
        super().__init__(kind, mode, rights)
        self.size = size
        self.room = room
        self.records: list[bytes] = []
        self._next: bytes | None = None

    def read(self, first: int, count: int) -> bytes:
        """Return so many records (0: all), oldest first, of which the last is the `first`-newest."""
        newest = len(self.records) - first
        if not self.records or newest <= 0 or count > newest:
            raise BoundaryError
        return b"".join(self.records[newest - count if count else 0 : newest])

    def write(self, offset: int, data: bytes) -> None:
        if not data or offset + len(data) > self.size or (self.kind == LINEAR and len(self.records) == self.room):
            raise BoundaryError
        record = self._next or bytes(self.size)
        self._next = record[:offset] + data + record[offset + len(data) :]

    def is_changed(self) -> bool:
        return self._next is not None

    def commit(self) -> None:
        if self._next is not None:
            self.records.append(self._next)
            kept = self.room - 1 if self.kind == CYCLIC else self.room
            self.records = self.records[-kept:]
            self._next = None

    def abort(self) -> None:
        self._next = None

    def to_image(self) -> dict[str, Any]:
        return super().to_image() | {
            "size": self.size,
            "room": self.room,
            "records": [record.hex() for record in self.records],
        }


class TransactionMacFile(File):
    """The card's witness: how often it has committed, and the MAC of the last time.

    Attributes:
        key: known to the back office and to the card.
    """

    def __init__(self, mode: int, rights: list[int], key: bytes) -> None:
        super().__init__(TRANSACTION_MAC, mode, rights)
        self.key = key
        self.counter = 0
        self.last_mac = bytes(8)

    def content(self) -> bytes:
        return self.counter.to_bytes(4, "little") + self.last_mac

    def to_image(self) -> dict[str, Any]:
        mac = {"key": self.key.hex(), "counter": self.counter, "last_mac": self.last_mac.hex()}
        return super().to_image() | mac


def file_from_image(image: dict[str, Any]) -> File:
    """Return the file that an image was made of."""
    kind, mode, rights = image["kind"], image["mode"], list(image["rights"])
    if kind in {STANDARD, BACKUP}:
        return DataFile(kind, mode, rights, bytes.fromhex(image["content"]))
    if kind == VALUE:
        limits = (image["limits"][0], image["limits"][1])
        value = ValueFile(mode, rights, limits, image["value"], limited_credit=image["limited_credit"])
        value.returnable = image["returnable"]
        return value
    if kind == TRANSACTION_MAC:
        witness = TransactionMacFile(mode, rights, bytes.fromhex(image["key"]))
        witness.counter, witness.last_mac = image["counter"], bytes.fromhex(image["last_mac"])
        return witness
    records = RecordFile(kind, mode, rights, image["size"], image["room"])
    records.records = [bytes.fromhex(record) for record in image["records"]]
    return records
