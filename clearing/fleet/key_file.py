"""Files of secret keys: readable by their owner only, written whole or not at all. No key appears in a message."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class KeysError(Exception):
    """A key file cannot be used; the message says why, and never shows a key."""


def read_private(path: Path) -> dict[str, Any]:
    """What a key file says.

    Raises:
        KeysError: others may read it, or it is damaged.
    """
    if path.stat().st_mode & 0o077:
        raise KeysError(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        content = json.loads(path.read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise damaged(path)
    return content


def damaged(path: Path) -> KeysError:
    return KeysError(f"{path} is damaged; restore it from its backup, new keys would orphan every card")


def write_once(path: Path, content: Mapping[str, object]) -> None:
    """Write a key file unless it is there: whoever comes second keeps the first one's keys."""
    draft = _draft(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def replace(path: Path, content: Mapping[str, object]) -> None:
    """Put other content into a key file; after a power cut it is the old or the new."""
    _draft(path, content).rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _draft(path: Path, content: Mapping[str, object]) -> Path:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return draft
