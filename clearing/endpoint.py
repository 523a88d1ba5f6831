"""What the HTTP endpoints of all features share: the state behind a request, and how a refusal looks.

Every error of the JSON interface is `{"error": {"code", "message", "remedy"}}`. An endpoint that changes something uses
`with database.writing() as session:` itself and answers after that block, so that nothing is promised before COMMIT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from clearing.clock import Clock, parse_day
from clearing.database import Database
from clearing.settings import Settings

if TYPE_CHECKING:
    from starlette.datastructures import State


class RefusedError(Exception):
    """A request that is refused with a reason.

    Attributes:
        status: HTTP status.
        code: stable word for programs.
        message: what was wrong, for people.
        remedy: what to do about it.
    """

    def __init__(self, status: int, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.remedy = remedy

    def body(self) -> dict[str, dict[str, str]]:
        return {"error": {"code": self.code, "message": self.message, "remedy": self.remedy}}


class NotFoundError(RefusedError):
    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(404, "not_found", message, remedy)


class ConflictError(RefusedError):
    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(409, "conflict", message, remedy)


class InvalidError(RefusedError):
    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(422, "invalid", message, remedy)


class ForbiddenError(RefusedError):
    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(403, "forbidden", message, remedy)


def _state(request: Request) -> State:
    return cast("State", request.app.state)


def database_of(request: Request) -> Database:
    return cast("Database", _state(request).database)


def clock_of(request: Request) -> Clock:
    return cast("Clock", _state(request).clock)


def settings_of(request: Request) -> Settings:
    return cast("Settings", _state(request).settings)


DatabaseOf = Annotated[Database, Depends(database_of)]
ClockOf = Annotated[Clock, Depends(clock_of)]
SettingsOf = Annotated[Settings, Depends(settings_of)]
# A number in a path; beyond it no database can look for one.
Number = Annotated[int, Path(ge=0, le=1 << 62)]
# A service day in a path, a query or a body.
Day = Annotated[str, AfterValidator(parse_day)]
