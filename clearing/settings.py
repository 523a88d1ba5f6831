"""Where the service keeps its state, from the environment.

`JOLAQY_HOME` (default `.jolaqy`) holds the keys and, unless `JOLAQY_DATABASE_URL` names another, the
SQLite database.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HOME_DEFAULT = ".jolaqy"


@dataclass(frozen=True)
class Settings:
    """What may differ from one installation to the next.

    Attributes:
        home: folder of the installation's state; made when it is missing.
        database_url: SQLAlchemy URL, `sqlite:///…` or `postgresql+psycopg://…`.
        hosts: names under which the service may be addressed (Host header).
        local_administrator: whether a request from this machine needs no token.
    """

    home: Path
    database_url: str
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    local_administrator: bool = True

    @property
    def keys_path(self) -> Path:
        return self.home / "keys.json"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from environment variables (default: this process's)."""
    environment = os.environ if environment is None else environment
    home = Path(environment.get("JOLAQY_HOME") or _HOME_DEFAULT).absolute()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Settings(home, environment.get("JOLAQY_DATABASE_URL") or f"sqlite:///{home / 'jolaqy.db'}")
