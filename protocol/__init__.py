"""Everything that is spoken over air and wire: pure, sans-IO, the same source on CPython and MicroPython."""
