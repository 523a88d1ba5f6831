"""The validator: one program for a microcontroller, a desk and a simulation. Its root is the device's root."""

from __future__ import annotations

from protocol.compat import collect_garbage_often

# Before anything else is loaded; until the program has started.
collect_garbage_often(True)
