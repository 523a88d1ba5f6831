"""What a fuzz target is: one property of one decoder, and inputs to start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Target:
    """One decoder under fuzz.

    Attributes:
        name: on the command line, and of its folder.
        check: raises whenever the property does not hold for an input; a refusal that the decoder promises is no fault.
        seeds: inputs to start from, most of them right.
        bytes_max: longest input worth trying.
        is_cbor: the input is CBOR, so its values can be changed one at a time.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    bytes_max: int = 1024
    is_cbor: bool = False
