"""The reference board and the technician's bench: the card desk, readers on USB, the emulated microcontroller."""
