"""What a board is to the validator. A board file provides one `Board`; nothing else in the firmware touches hardware.

These classes carry no behaviour: they say what every board does, and type checkers hold the boards to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Protocol

    from protocol.cmac import Aes

    class Port(Protocol):
        """A stream of bytes: a UART, or a TCP connection."""

        def has_data(self) -> bool:
            """Return whether `read` would give something now, or the other side closed."""

        def read(self) -> bytes:
            """Return what has arrived, at once; empty when nothing has, or the other side closed."""

        def write(self, data: bytes) -> None:
            """Send."""

        def close(self) -> None:
            """End a connection; a UART stays open."""

        @property
        def closed(self) -> bool:
            """Whether nothing more will come."""

    class Uart(Port, Protocol):
        """A stream of bytes over a serial line, which begins at 115 200 bit/s.

        It keeps at least 512 bytes that come while nobody reads: a card's answer may arrive while a certificate is opened.
        """

        def set_rate(self, bits_per_s: int) -> None:
            """Send what was written, and then go on at another rate."""

    class Datagrams(Protocol):
        """Datagrams among the validators of one vehicle. Any may be lost, come twice, or be somebody else's."""

        def has_data(self) -> bool:
            """Return whether one has arrived."""

        def receive(self) -> bytes:
            """Return one that has arrived, cut off where it is longer than any that is sent; empty when none has."""

        def send(self, data: bytes) -> None:
            """Send to all others; what cannot be sent is lost."""

    class Flash(Protocol):
        """MicroPython's extended block device over raw NOR flash: programming clears bits, erasing sets a sector's."""

        def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None: ...

        def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None: ...

        def ioctl(self, operation: int, argument: int) -> int:
            """4: number of sectors; 5: bytes in a sector; 6: erase the sector `argument`."""

    class Store(Protocol):
        """Named files. Each write or renaming replaces a whole file at once, or, when the power fails, not at all."""

        def read(self, name: str) -> bytes | None: ...

        def write(self, name: str, data: bytes) -> None: ...

        def size(self, name: str) -> int | None: ...

        def read_at(self, name: str, offset: int, count: int) -> bytes:
            """Return a piece of a file that is there; less than asked for at its end."""

        def append(self, name: str, data: bytes | bytearray | memoryview) -> None:
            """Write behind what the file holds; when the power fails, a part of it may be there."""

        def rename(self, name: str, new_name: str) -> None: ...

        def remove(self, name: str) -> None:
            """Take a file away, if it is there."""

    class Signer(Protocol):
        """Signs SHA-256 digests with the device's key, and agrees on secrets; on MicroPython in steps: it takes long there."""

        @property
        def kid(self) -> bytes: ...

        def sign_digest_steps(self, digest: bytes) -> Generator[None, None, bytes]: ...

        def agree_steps(self, x: bytes, y: bytes) -> Generator[None, None, bytes]:
            """Return the x coordinate that this key and a public one agree on (ECDH), 32 bytes."""

    class Verifier(Protocol):
        """Verifies with the service's keys; in steps."""

        def verify_digest_steps(self, kid: bytes, digest: bytes, signature: bytes) -> Generator[None, None, bool]: ...

    class Board(Protocol):
        """One board.

        Attributes:
            nfc, qr, driver: UARTs of the reader chip, the code scanner and the driver's console.
            host: name of the clearing service, as HTTP says it.
            profile: assurance of the device's key: 1 secure element, 2 software.
            neighbours: the vehicle's other validators; None where it has none.
            has_code_screen: it has a screen that shows codes.
        """

        @property
        def nfc(self) -> Uart: ...

        @property
        def qr(self) -> Port: ...

        @property
        def driver(self) -> Port: ...

        @property
        def flash(self) -> Flash: ...

        @property
        def store(self) -> Store: ...

        @property
        def aes(self) -> Aes: ...

        @property
        def host(self) -> str: ...

        @property
        def profile(self) -> int: ...

        @property
        def neighbours(self) -> Datagrams | None: ...

        @property
        def has_code_screen(self) -> bool: ...

        @property
        def languages(self) -> Sequence[str]:
            """In which the rider is told in words (`firmware.texts`); none for a display of figures."""

        def ticks_ms(self) -> int:
            """Return milliseconds since boot, never going back."""

        def wait(self, until_ms: int | None) -> None:
            """Sleep until that moment or until a port has bytes."""

        def clock(self) -> tuple[int, int]:
            """Return unix seconds and the clock's quality (`protocol.tap.CLOCK_…`)."""

        def set_clock(self, unix_ms: int, quality: int) -> None: ...

        def dial(self) -> Port:
            """Open a connection to the clearing service; OSError where there is no network."""

        def random_bytes(self, count: int) -> bytes: ...

        def public_point(self, private: int) -> tuple[bytes, bytes]: ...

        def signer(self, kid: bytes, private: int) -> Signer: ...

        def verifier(self, keys: dict[bytes, tuple[bytes, bytes]]) -> Verifier: ...

        def show(self, text: str) -> None:
            """Show a line to the rider."""

        def say(self, language: str, text: str) -> None:
            """Show words to the rider; two lines of 20 characters."""

        def show_code(self, text: str) -> None:
            """Show a text as QR code until the next one; an empty one shows none."""

        def light(self, colour: str) -> None:
            """Set the light: green, red or off."""

        def beep(self, pattern: str) -> None:
            """Sound: ok, refused."""

        def log(self, text: str) -> None:
            """Tell whoever holds the board; never a secret."""
