"""The service as an ASGI application: wires the features together, and nothing else.

Every request is bounded in size before it is read, must name a host that the service answers to, and every error of the
JSON interface has one shape (a person with a browser sees a page instead).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clearing.clock import Clock
from clearing.cose_response import COSE, hint
from clearing.dashboard.rendering import error_page, wants_page
from clearing.database import Database
from clearing.endpoint import RefusedError
from clearing.fleet.keys import open_keys
from clearing.health import router as health_router
from clearing.ingest.receiver import Receiver
from clearing.settings import Settings
from clearing.tables import feature_modules
from protocol.ack import STATUS_TOO_LARGE

BODY_BYTES_MAX = 262_144
_log = logging.getLogger("jolaqy")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
)


class _TooLargeError(Exception):
    """A body went beyond the limit while it was read."""


class BoundedBodies:
    """Refuses bodies beyond the limit, by their stated length or as they come, and adds headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0
        started = False

        async def bounded_receive() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES_MAX:
                raise _TooLargeError
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            if _stated_length(scope) > BODY_BYTES_MAX:
                raise _TooLargeError  # noqa: TRY301 - one answer for both ways of being too large
            await self._app(scope, bounded_receive, send_with_headers)
        except _TooLargeError:
            if not started:
                await _too_large(scope)(scope, receive, send_with_headers)


def _header(scope: Scope, name: bytes) -> bytes:
    values: list[bytes] = [value for key, value in scope["headers"] if key == name]
    return values[0] if values else b""


def _stated_length(scope: Scope) -> int:
    length = _header(scope, b"content-length")
    return int(length) if length.isdigit() else 0


def _too_large(scope: Scope) -> Response:
    if _header(scope, b"content-type").startswith(COSE.encode()):
        return hint(STATUS_TOO_LARGE)
    error = RefusedError(413, "too_large", f"the body is over {BODY_BYTES_MAX} bytes", "send it in parts")
    return JSONResponse(error.body(), error.status)


def create_app(settings: Settings, clock: Clock) -> FastAPI:
    """The application for these settings and this clock; it opens the database and the keys."""
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()

    app = FastAPI(title="Jolaqy", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.settings = settings
    app.state.clock = clock
    app.state.database = database
    keys = app.state.keys = open_keys(settings.keys_path)
    app.state.receiver = Receiver(database, keys, clock)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts), www_redirect=False)
    app.add_middleware(BoundedBodies)
    _answer_errors_in_one_shape(app)
    _include_features(app)
    return app


def _include_features(app: FastAPI) -> None:
    app.include_router(health_router)
    for module in (*feature_modules("api"), *feature_modules("pages")):
        app.include_router(module.router)


def _answer(request: Request, error: RefusedError) -> Response:
    """A refusal: JSON for programs, a page for people."""
    return error_page(request, error.status) if wants_page(request) else JSONResponse(error.body(), error.status)


def _answer_errors_in_one_shape(app: FastAPI) -> None:
    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return _answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        # Where and why, never the value: it may be a telephone number or a token.
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        return _answer(request, RefusedError(422, "invalid", faults, "correct the request"))

    @app.exception_handler(HTTPException)
    async def unroutable(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
        return _answer(request, RefusedError(error.status_code, code, str(error.detail)))

    @app.exception_handler(DataError)
    async def unstorable(request: Request, _error: DataError) -> Response:
        # PostgreSQL takes no NUL in a text, for one.
        return _answer(request, RefusedError(422, "invalid", "a value cannot be stored", "correct the request"))

    @app.exception_handler(OperationalError)
    async def busy(request: Request, error: OperationalError) -> Response:
        _log.error("%s %s: the database refused", request.method, request.url.path, exc_info=error)
        return _answer(
            request, RefusedError(503, "busy", "the database did not answer in time", "try again in a minute")
        )

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _answer(request, RefusedError(500, "internal", "the service failed", "look at its log"))
