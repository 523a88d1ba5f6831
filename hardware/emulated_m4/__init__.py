"""An emulated Cortex-M4 that runs the firmware: MicroPython on QEMU, and every instruction counted.

The same program carries out the same instructions each time, however busy the machine is. So what a piece of firmware costs is a
number that a test can hold, where a measured time is not. What it takes on a board is that number by a declared factor
(`simulator.timing`): no board was measured.

`.ci/get-emulator` builds it; `make emulated` does that and counts (`python -m hardware.emulated_m4`).
"""
