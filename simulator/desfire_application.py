"""One application of a virtual DESFire card: its keys and files, and the commands that concern them (MF2DLHX0 chapter 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from protocol.cards.transaction_mac import (
    CREDIT,
    DEBIT,
    GET_VALUE,
    LIMITED_CREDIT,
    READ_DATA,
    READ_RECORDS,
    WRITE_DATA,
    WRITE_RECORD,
    signed_command,
    transaction_mac,
)
from protocol.compat import crc32
from simulator.desfire_files import (
    BACKUP,
    CYCLIC,
    FULL,
    LINEAR,
    MAC,
    PLAIN,
    STANDARD,
    BoundaryError,
    DataFile,
    File,
    RecordFile,
    TransactionMacFile,
    ValueFile,
    file_from_image,
)
from simulator.desfire_secure import (
    AES,
    AUTHENTICATION_ERROR,
    BOUNDARY_ERROR,
    DUPLICATE_ERROR,
    FILE_NOT_FOUND,
    INTEGRITY_ERROR,
    LENGTH_ERROR,
    NO_CHANGES,
    NO_SUCH_KEY,
    PARAMETER_ERROR,
    PERMISSION_DENIED,
    CardSession,
    Refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[CardSession | None, int, bytes], bytes]

Kind = TypeVar("Kind", bound=File)

_KEY_BYTES = 16
_MASTER = 0
_CREATE = {0xCD: (STANDARD, 7), 0xCB: (BACKUP, 7), 0xCC: ("value", 17), 0xC1: (LINEAR, 10), 0xC0: (CYCLIC, 10)}
_MODES = {0: PLAIN, 1: MAC, 3: FULL}


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def changed_key(data: bytes, old: bytes, *, is_own: bool) -> tuple[bytes, int]:
    """Return key and version that ChangeKey brings: alone for the key in use, else mixed with the old one and a check sum."""
    if len(data) != (_KEY_BYTES + 1 if is_own else _KEY_BYTES + 5):
        raise Refused(LENGTH_ERROR)
    key = data[:_KEY_BYTES]
    if not is_own:
        key = bytes(a ^ b for a, b in zip(key, old, strict=True))
        if data[_KEY_BYTES + 1 :] != (crc32(key) ^ 0xFFFFFFFF).to_bytes(4, "little"):
            raise Refused(INTEGRITY_ERROR)
    return key, data[_KEY_BYTES]


class Application:
    """One application.

    Attributes:
        name: its DF name.
        keys, versions: by number.
        files: by number.
    """

    def __init__(self, name: bytes, settings: int, keys: int, uid: bytes) -> None:
        self.name = name
        self.settings = settings
        self.keys = [bytes(_KEY_BYTES)] * keys
        self.versions = [0] * keys
        self.files: dict[int, File] = {}
        self._uid = uid
        self._signed = b""
        self.handlers: dict[int, Handler] = {
            READ_DATA: self._read_data,
            0xBD: self._read_data,
            WRITE_DATA: self._write_data,
            0x3D: self._write_data,
            READ_RECORDS: self._read_records,
            0xBB: self._read_records,
            WRITE_RECORD: self._write_record,
            0x3B: self._write_record,
            GET_VALUE: self._get_value,
            CREDIT: self._change_value,
            DEBIT: self._change_value,
            LIMITED_CREDIT: self._change_value,
            0xC7: self._commit,
            0xA7: self._abort,
            0xC4: self._change_key,
            0xCE: self._create_transaction_mac_file,
            0x5F: self._change_file_settings,
            0x6F: self._file_ids,
            **dict.fromkeys(_CREATE, self._create_file),
        }

    def witness(self) -> TransactionMacFile | None:
        """Return its transaction MAC file, if it has one."""
        return next((file for file in self.files.values() if isinstance(file, TransactionMacFile)), None)

    def drop_transaction(self) -> bool:
        """Forget what was not committed; return whether there was anything."""
        was_something = bool(self._signed) or any(file.is_changed() for file in self.files.values())
        for file in self.files.values():
            file.abort()
        self._signed = b""
        return was_something

    def key(self, number: int) -> bytes:
        if number >= len(self.keys):
            raise Refused(NO_SUCH_KEY)
        return self.keys[number]

    # Files.

    def _file(self, number: int, kind: type[Kind]) -> Kind:
        file = self.files.get(number)
        if file is None:
            raise Refused(FILE_NOT_FOUND)
        if not isinstance(file, kind):
            raise Refused(PARAMETER_ERROR)
        return file

    def _open(
        self, session: CardSession | None, ins: int, data: bytes, header_bytes: int, file: File, *, is_allowed: bool
    ) -> tuple[bytes, bytes]:
        """Return header and data of a command for a file, which the key in use must allow."""
        if not is_allowed:
            raise Refused(AUTHENTICATION_ERROR if session is None else PERMISSION_DENIED)
        body = data if session is None else session.check(ins, data, file.mode)
        if len(body) < header_bytes:
            raise Refused(LENGTH_ERROR)
        header, content = body[:header_bytes], body[header_bytes:]
        if content and session is not None and file.mode == FULL:
            content = session.decrypt(content)
        return header, content

    def _answer(self, session: CardSession | None, file: File, data: bytes = b"") -> bytes:
        return data + b"\x91\x00" if session is None else session.answer(data, file.mode)

    def _sign(self, ins: int, header: bytes, data: bytes = b"") -> None:
        if self.witness() is not None:
            self._signed += signed_command(ins, header, data)

    def _read_data(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        file = self._file(data[0] if data else 0xFF, File)
        key = None if session is None else session.key_number
        header, rest = self._open(session, ins, data, 7, file, is_allowed=file.may_read(key))
        offset, size = _little(header[1:4]), _little(header[4:7])
        if rest:
            raise Refused(LENGTH_ERROR)
        if isinstance(file, TransactionMacFile):
            content = file.content()
            return self._answer(session, file, content[offset : offset + size] if size else content[offset:])
        if not isinstance(file, DataFile):
            raise Refused(PARAMETER_ERROR)
        content = file.read(offset, size)
        self._sign(ins, header[:4] + len(content).to_bytes(3, "little"), content)
        return self._answer(session, file, content)

    def _write_data(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        return self._write(session, ins, data, DataFile)

    def _write_record(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        return self._write(session, ins, data, RecordFile)

    def _write(self, session: CardSession | None, ins: int, data: bytes, kind: type[DataFile | RecordFile]) -> bytes:
        file = self._file(data[0] if data else 0xFF, kind)
        key = None if session is None else session.key_number
        header, content = self._open(session, ins, data, 7, file, is_allowed=file.may_write(key))
        if len(content) != _little(header[4:7]):
            raise Refused(LENGTH_ERROR)
        file.write(_little(header[1:4]), content)
        self._sign(ins, header, content)
        return self._answer(session, file)

    def _read_records(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        file = self._file(data[0] if data else 0xFF, RecordFile)
        key = None if session is None else session.key_number
        header, _ = self._open(session, ins, data, 7, file, is_allowed=file.may_read(key))
        content = file.read(_little(header[1:4]), _little(header[4:7]))
        self._sign(ins, header[:4] + (len(content) // file.size).to_bytes(3, "little"), content)
        return self._answer(session, file, content)

    def _get_value(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        file = self._file(data[0] if data else 0xFF, ValueFile)
        key = None if session is None else session.key_number
        header, _ = self._open(session, ins, data, 1, file, is_allowed=file.may_read(key) or file.may_write(key))
        value = (file.value & 0xFFFFFFFF).to_bytes(4, "little")
        self._sign(ins, header, value)
        return self._answer(session, file, value)

    def _change_value(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        file = self._file(data[0] if data else 0xFF, ValueFile)
        key = None if session is None else session.key_number
        may_lower = file.may_read(key) or file.may_write(key)
        is_allowed = {DEBIT: may_lower, LIMITED_CREDIT: file.may_write(key), CREDIT: file.may_do_all(key)}[ins]
        header, amount = self._open(session, ins, data, 1, file, is_allowed=is_allowed)
        if len(amount) != 4:
            raise Refused(LENGTH_ERROR)
        change = {DEBIT: file.debit, LIMITED_CREDIT: file.credit_limited, CREDIT: file.credit}[ins]
        change(_little(amount))
        self._sign(ins, header, amount)
        return self._answer(session, file)

    # Transactions.

    def _commit(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        if session is None:
            raise Refused(AUTHENTICATION_ERROR)
        option = session.check(ins, data, MAC)
        if option not in {b"", b"\x00", b"\x01"}:
            raise Refused(LENGTH_ERROR)
        if not self._signed and not any(file.is_changed() for file in self.files.values()):
            raise Refused(NO_CHANGES)
        for file in self.files.values():
            file.commit()
        witness = self.witness()
        if witness is not None:
            witness.counter += 1
            witness.last_mac = transaction_mac(AES, witness.key, self._uid, witness.counter, self._signed)
        self._signed = b""
        return session.answer(witness.content() if witness is not None and option == b"\x01" else b"", MAC)

    def _abort(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        if session is None:
            raise Refused(AUTHENTICATION_ERROR)
        if session.check(ins, data, MAC):
            raise Refused(LENGTH_ERROR)
        if not self.drop_transaction():
            raise Refused(NO_CHANGES)
        return session.answer(b"", MAC)

    # What only the bureau does.

    def _as_master(self, session: CardSession | None, ins: int, data: bytes) -> tuple[CardSession, bytes]:
        if session is None:
            raise Refused(AUTHENTICATION_ERROR)
        if session.key_number != _MASTER:
            raise Refused(PERMISSION_DENIED)
        return session, session.check(ins, data, MAC)

    def _create_file(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        session, body = self._as_master(session, ins, data)
        kind, size = _CREATE[ins]
        if len(body) != size:
            raise Refused(LENGTH_ERROR)
        self._require_new(body)
        mode, rights = body[1] & 3, [_little(body[2:4])]
        self.files[body[0]] = self._made(kind, _MODES.get(mode, FULL), rights, body[4:])
        return session.answer(b"", MAC)

    def _require_new(self, body: bytes) -> None:
        if body[0] in self.files:
            raise Refused(DUPLICATE_ERROR)

    def _made(self, kind: str, mode: int, rights: list[int], rest: bytes) -> File:
        if kind in {STANDARD, BACKUP}:
            return DataFile(kind, mode, rights, bytes(_little(rest[:3])))
        if kind in {LINEAR, CYCLIC}:
            return RecordFile(kind, mode, rights, _little(rest[:3]), _little(rest[3:6]))
        limits = (_little(rest[:4]), _little(rest[4:8]))
        return ValueFile(mode, rights, limits, _little(rest[8:12]), limited_credit=bool(rest[12] & 1))

    def _create_transaction_mac_file(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        session, body = self._as_master(session, ins, data)
        if len(body) != 5 + 32 or body[4] != 2:
            raise Refused(LENGTH_ERROR)
        self._require_new(body)
        key = session.decrypt(body[5:])[:_KEY_BYTES]
        self.files[body[0]] = TransactionMacFile(_MODES.get(body[1] & 3, FULL), [_little(body[2:4])], key)
        return session.answer(b"", MAC)

    def _change_file_settings(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        file = self._file(data[0] if data else 0xFF, File)
        if session is None:
            raise Refused(AUTHENTICATION_ERROR)
        if not file.may_change(session.key_number):
            raise Refused(PERMISSION_DENIED)
        change = session.decrypt(session.check(ins, data, FULL)[1:])
        count = change[3] if change[:1] and change[0] & 0x80 and len(change) > 3 else 0
        if len(change) != (4 + 2 * count if change[:1] and change[0] & 0x80 else 3):
            raise Refused(LENGTH_ERROR)
        file.mode = _MODES.get(change[0] & 3, FULL)
        file.rights = [_little(change[1:3]), *(_little(change[4 + 2 * at : 6 + 2 * at]) for at in range(count))]
        return session.answer(b"", MAC)

    def _change_key(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        session, body = self._as_master(session, ins, data)
        number = body[0] & 0x3F if body else 0xFF
        old = self.key(number)
        is_own = number == session.key_number
        self.keys[number], self.versions[number] = changed_key(session.decrypt(body[1:]), old, is_own=is_own)
        return b"\x91\x00" if is_own else session.answer(b"", MAC)

    def _file_ids(self, session: CardSession | None, ins: int, data: bytes) -> bytes:
        if session is None:
            raise Refused(AUTHENTICATION_ERROR)
        session.check(ins, data, MAC)
        return session.answer(bytes(sorted(self.files)), MAC)

    def carry_out(self, session: CardSession | None, ins: int, data: bytes) -> bytes | None:
        """Answer a command of an application; None for one that it does not know."""
        handler = self.handlers.get(ins)
        if handler is None:
            return None
        try:
            return handler(session, ins, data)
        except BoundaryError:
            raise Refused(BOUNDARY_ERROR) from None

    # Images.

    def to_image(self) -> dict[str, Any]:
        return {
            "name": self.name.hex(),
            "settings": self.settings,
            "keys": [key.hex() for key in self.keys],
            "versions": self.versions,
            "files": {str(number): file.to_image() for number, file in self.files.items()},
        }

    @classmethod
    def from_image(cls, image: dict[str, Any], uid: bytes) -> Application:
        application = cls(bytes.fromhex(image["name"]), image["settings"], len(image["keys"]), uid)
        application.keys = [bytes.fromhex(key) for key in image["keys"]]
        application.versions = list(image["versions"])
        application.files = {int(number): file_from_image(file) for number, file in image["files"].items()}
        return application
