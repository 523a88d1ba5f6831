"""Deterministic simulation that tries to lose or double a tap: production firmware and production service in one process.

`World` is the only source of time and chance. A schedule is drawn from a seed; what it breaks, and what must hold all the
same, stand in `schedule` and `invariants`. This is the only part of the simulator that may import `clearing`.
"""
