"""Virtual transport cards in a file, one line of JSON each. Their keys are in it, so it is for its owner only."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from simulator.desfire_card import DesfireCard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ImagesDamaged(Exception):  # noqa: N818 - named for what is wrong
    """A file holds something else than cards."""


def write_card_images(path: Path, cards: Sequence[DesfireCard]) -> None:
    """Write cards, in place of what the file held."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(card.to_image()) + "\n" for card in cards)


def read_card_images(path: Path) -> list[DesfireCard]:
    """Read cards.

    Raises:
        ImagesDamaged: there is something else.
    """
    try:
        return [DesfireCard.from_image(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise ImagesDamaged(f"{path} holds no cards") from error
