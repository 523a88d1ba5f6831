"""The reference board and the technician's bench; the board on a desk is `firmware.boards.desktop` until then."""
