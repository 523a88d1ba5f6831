"""Every endpoint asks for one permission or says why it asks nobody, and a caller without it is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from fastapi.routing import APIRoute

from clearing.access.permission import Opening, Requirement
from clearing.access.roles import PERMISSIONS, ROLES, Scope
from clearing.access.service import issue_token
from tests.builders import NOW_MS, Office

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.dependencies.models import Dependant
    from starlette.routing import BaseRoute

# What a browser fetches to draw a page; nothing of it differs from one caller to the next.
_STATIC = "/static"


def _routes(app: FastAPI) -> list[BaseRoute]:
    return [route for route in _flat(app.routes) if not getattr(route, "path", "").startswith(_STATIC)]


def _flat(routes: list[BaseRoute]) -> list[BaseRoute]:
    """All routes; newer versions of FastAPI keep an included router as one route that leads to the others."""
    found = []
    for route in routes:
        router = getattr(route, "original_router", None)
        found += [route] if router is None else _flat(router.routes)
    return found


def _gates(dependant: Dependant) -> list[Requirement | Opening]:
    gates: list[Requirement | Opening] = []
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Requirement | Opening):
            gates.append(dependency.call)
        gates += _gates(dependency)
    return gates


def test_every_endpoint_has_exactly_one_gate(app: FastAPI) -> None:
    for route in _routes(app):
        assert isinstance(route, APIRoute), f"{route} has no dependencies that could guard it"
        assert len(_gates(route.dependant)) == 1, f"{route.path} has no gate, or more than one"


def test_openings_are_few_and_known(app: FastAPI) -> None:
    opened = {
        route.path
        for route in _routes(app)
        if isinstance(route, APIRoute) and any(isinstance(gate, Opening) for gate in _gates(route.dependant))
    }
    assert opened == {
        "/healthz",
        "/pay/{city}",
        "/pay/{city}/{vehicle}",
        "/v1/batches",
        "/v1/card-authorities/{number}",
        "/v1/enrolments",
        "/v1/fare-tables/{number}",
        "/v1/key-bundles/{device}/{number}",
        "/v1/key-sets/{number}",
        "/v1/lists/allow/{number}",
        "/v1/lists/allow/{number}/from/{held}",
        "/v1/lists/allow/{number}/{part}",
        "/v1/lists/deny/{number}",
        "/v1/lists/deny/{number}/from/{held}",
        "/v1/lists/deny/{number}/{part}",
        "/v1/lists/top-up/{number}",
        "/v1/lists/top-up/{number}/from/{held}",
        "/v1/lists/top-up/{number}/{part}",
        "/v1/pay",
        "/v1/pay/{vehicle}",
        "/v1/retirements",
        "/v1/rotations",
        "/v1/top-up-commands",
    }


def test_a_caller_without_the_permission_is_refused_at_every_endpoint(office: Office, app: FastAPI) -> None:
    """For each endpoint: a role that has everything but its permission."""
    refused = 0
    for route in _routes(app):
        assert isinstance(route, APIRoute)
        gate = _gates(route.dependant)[0]
        if isinstance(gate, Opening):
            continue
        others = [role for role, held in ROLES.items() if gate.permission not in held]
        with office.database.writing() as session:
            token = issue_token(session, "limited", "service", [Scope(role) for role in others], NOW_MS)
        path = re.sub(r"\{[^}]*\}", "1", route.path)
        for method in route.methods or ():
            answer = office.client.request(method, path, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
            assert set(answer.json()["error"]) == {"code", "message", "remedy"}
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("headers", [{"authorization": "Bearer wrong"}, {"authorization": "Basic bG9jYWw6"}])
def test_a_wrong_token_is_not_the_local_administrator(office: Office, headers: dict[str, str]) -> None:
    assert office.client.get("/v1/validators", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"origin": "https://elsewhere.example"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_request_from_elsewhere_is_not_the_local_administrator(office: Office, headers: dict[str, str]) -> None:
    assert office.client.get("/v1/validators").status_code == 200
    assert office.client.get("/v1/validators", headers=headers).status_code == 401


def test_another_host_name_is_not_served(office: Office) -> None:
    assert office.client.get("/healthz", headers={"host": "rebound.example"}).status_code == 400


def test_every_permission_is_held_by_the_administrator() -> None:
    assert ROLES["administrator"] == PERMISSIONS
    assert all(held <= PERMISSIONS for held in ROLES.values())
