"""What the desk tells the clearing service, over HTTP. A desk may be without network: what could not be told waits in a file.

Every message has a reference of its own, so that it may be sent again.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hardware.problem import Problem
from simulator.service import Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self


class ClearingOffice:
    """The service, and what waits for it."""

    def __init__(self, url: str, token: str, outbox: Path) -> None:
        self._service = Service(url, token)
        self._outbox = outbox

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._service.close()

    def ask(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """Return what the service answers.

        Raises:
            Problem: it does not answer, or refuses.
        """
        try:
            return self._service.get(path, **parameters)
        except ServiceError as error:
            raise _not_told(error) from None

    def try_to_tell(self, path: str, body: Mapping[str, object]) -> str:
        """Tell the service something once; return why it was not told, or nothing."""
        try:
            self._service.post(path, dict(body))
        except ServiceError as error:
            return str(error)
        return ""

    def tell(self, path: str, body: Mapping[str, object]) -> str:
        """Tell the service something, after all that waits; return why it waits itself now, or nothing when it was told."""
        return self._send([*self._waiting(), {"path": path, "body": dict(body)}])

    def tell_what_waits(self) -> int:
        """Tell what could not be told before, and return how many messages that were.

        Raises:
            Problem: it still cannot be.
        """
        messages = self._waiting()
        why_not = self._send(messages) if messages else ""
        if why_not:
            raise Problem(
                f"clearing was not told of all: {why_not}", "try again when it can be reached, with the same command"
            )
        return len(messages)

    def _waiting(self) -> list[dict[str, Any]]:
        if not self._outbox.exists():
            return []
        return [json.loads(line) for line in self._outbox.read_text(encoding="utf-8").splitlines()]

    def _send(self, messages: list[dict[str, Any]]) -> str:
        """Send messages in order, keep the rest for later, and return why there is a rest."""
        why_not = ""
        while messages and not why_not:
            why_not = self.try_to_tell(messages[0]["path"], messages[0]["body"])
            if not why_not:
                messages = messages[1:]
        self._keep(messages)
        return why_not

    def _keep(self, messages: list[dict[str, Any]]) -> None:
        self._outbox.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._outbox.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(message) + "\n" for message in messages)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._outbox)


def _not_told(error: ServiceError) -> Problem:
    return Problem(f"the clearing service refuses or is not there: {error}", "check --server and JOLAQY_TOKEN")
