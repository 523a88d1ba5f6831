"""What runs on the emulated Cortex-M4: written for MicroPython, and packed beside the firmware of a device."""
