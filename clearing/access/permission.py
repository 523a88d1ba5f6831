"""The one question that every endpoint asks: may this caller do this?

An endpoint depends on exactly one `require("thing.verb")`, or says with `open_to` why it asks nobody: a message that
carries its own signature, a document that is public. A test walks all routes and finds one or the other on each.

A request without a token is the local administrator's only when it comes from this machine, names this machine as its
host, was not passed on by a proxy and was not sent by a page of somebody else's site.
"""

from __future__ import annotations

from ipaddress import ip_address

from fastapi import Request

from clearing.access.roles import PERMISSIONS, Caller
from clearing.access.service import caller_by_token, local_caller
from clearing.endpoint import ForbiddenError, RefusedError, database_of, settings_of

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_OWN_PAGES = {None, "same-origin", "none"}


class Requirement:
    """A dependency that lets a request pass when its caller holds a permission, and returns the caller.

    A city in the path or the query narrows the question; a city in the body is the endpoint's to check (`must_reach`).
    """

    def __init__(self, permission: str) -> None:
        assert permission in PERMISSIONS, permission
        self.permission = permission

    def __call__(self, request: Request) -> Caller:
        caller = _identify(request)
        city = request.path_params.get("city") or request.query_params.get("city")
        if not caller.may(self.permission, city):
            raise ForbiddenError(
                f"{caller.name} may not do this" + (f" in {city}" if city else ""),
                f"it needs the permission {self.permission}",
            )
        return caller


class Opening:
    """A dependency that lets everybody pass, and says why that is right."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self) -> None:
        return None


def require(permission: str) -> Requirement:
    """A dependency of an endpoint that needs a permission."""
    return Requirement(permission)


def open_to(reason: str) -> Opening:
    """A dependency of an endpoint that needs none."""
    return Opening(reason)


def must_reach(caller: Caller, permission: str, city: str) -> None:
    """Refuse when the caller's permission does not reach a city that was named in a body."""
    if not caller.may(permission, city):
        raise ForbiddenError(f"{caller.name} may not do this in {city}", f"it needs {permission} there")


def _identify(request: Request) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    with database_of(request).reading() as session:
        if scheme.lower() == "bearer":
            caller = caller_by_token(session, token.strip())
        else:
            caller = local_caller(session) if not scheme and _is_local(request) else None
    if caller is None:
        raise RefusedError(401, "unauthorized", "nobody is known by this token", "send Authorization: Bearer TOKEN")
    return caller


def _is_local(request: Request) -> bool:
    if not settings_of(request).local_administrator or request.client is None:
        return False
    headers = request.headers
    own_site = headers.get("origin") in {None, f"{request.url.scheme}://{headers.get('host', '')}"}
    return (
        is_loopback(request.client.host)
        and is_loopback(request.url.hostname or "")
        and not any(name in headers for name in _FORWARDED)
        and own_site
        and headers.get("sec-fetch-site") in _OWN_PAGES
    )


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
