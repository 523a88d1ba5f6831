"""Who may do what: permissions by role. Pure.

A permission is `thing.verb`. An endpoint requires exactly one; a role is a set of them; a grant narrows a role to a
city or a carrier. What is not listed is not allowed.
"""

from __future__ import annotations

from dataclasses import dataclass

READS = frozenset(
    {
        "adjustment.read",
        "approval.read",
        "audit.read",
        "break.read",
        "channel.read",
        "charge.read",
        "city.read",
        "close.read",
        "exception.read",
        "fare.read",
        "key.read",
        "ledger.read",
        "page.read",
        "payout.read",
        "share.read",
        "statement.read",
        "validator.read",
    }
)
CHANGES = frozenset(
    {
        "acquirer.notify",
        "acquiring.settle",
        "adjustment.approve",
        "adjustment.request",
        "admission.write",
        "allow.write",
        "approval.decide",
        "approval.request",
        "authority.write",
        "break.work",
        "cash.count",
        "channel_key.write",
        "charge.refund",
        "chargeback.receive",
        "close.run",
        "debt.pay",
        "deny.write",
        "exception.resolve",
        "inspection.run",
        "key.rotate",
        "label.print",
        "payout.approve",
        "payout.propose",
        "qr.receive",
        "receipt.issue",
        "reconcile.run",
        "remittance.record",
        "sms.receive",
        "statement.import",
        "ticket.issue",
        "top_up.receive",
        "top_up.refund",
        "validator.invite",
        "validator.release",
        "validator.revoke",
    }
)
PERMISSIONS = READS | CHANGES

ROLES: dict[str, frozenset[str]] = {
    "administrator": PERMISSIONS,
    "operator": READS - {"audit.read"}
    | {
        "acquiring.settle",
        "adjustment.request",
        "allow.write",
        "approval.request",
        "break.work",
        "cash.count",
        "charge.refund",
        "close.run",
        "deny.write",
        "exception.resolve",
        "label.print",
        "payout.propose",
        "reconcile.run",
        "remittance.record",
        "statement.import",
        "top_up.refund",
        "validator.release",
        "validator.revoke",
    },
    "technician": frozenset({"city.read", "label.print", "validator.invite", "validator.read"}),
    "auditor": READS,
    "acquirer": frozenset({"acquirer.notify", "chargeback.receive", "debt.pay"}),
    "aggregator": frozenset({"sms.receive"}),
    "provider": frozenset({"qr.receive"}),
    "agent": frozenset({"top_up.receive"}),
    "inspector": frozenset({"inspection.run"}),
    "cashier": frozenset({"cash.count"}),
    "app": frozenset({"city.read", "debt.pay", "receipt.issue", "ticket.issue"}),
    "approver": frozenset(
        {
            "adjustment.approve",
            "adjustment.read",
            "approval.decide",
            "approval.read",
            "city.read",
            "close.read",
            "page.read",
            "payout.approve",
            "payout.read",
        }
    ),
}


@dataclass(frozen=True)
class Scope:
    """A role that somebody holds; an absent city or carrier means all of them."""

    role: str
    city: str | None = None
    carrier: str | None = None


@dataclass(frozen=True)
class Caller:
    """Whoever makes a request, and what they hold."""

    principal_id: str
    name: str
    scopes: tuple[Scope, ...]

    def may(self, permission: str, city: str | None = None) -> bool:
        """Whether some scope gives the permission, in this city when one is named."""
        return any(
            permission in ROLES.get(scope.role, ()) and (city is None or scope.city in {None, city})
            for scope in self.scopes
        )

    def cities(self, permission: str) -> frozenset[str] | None:
        """The cities in which the permission is held; none named (`None`) means all of them."""
        held = {scope.city for scope in self.scopes if permission in ROLES.get(scope.role, ())}
        return None if None in held else frozenset(city for city in held if city is not None)
