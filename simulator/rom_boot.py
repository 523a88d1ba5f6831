"""What a board's boot code does, for MicroPython on a desk: `micropython rom_boot.py IMAGE WORD …`.

It maps a ROMFS image into memory, mounts it and runs the firmware in it with the words. As on a board the code is executed where
it lies, and takes no heap.
"""

import sys

import ffi  # type: ignore[import-not-found]
import uctypes
import vfs  # type: ignore[import-not-found]

_READ_ONLY = 0
_PROT_READ = 1
_MAP_PRIVATE = 2
_SEEK_END = 2


def _mapped(path: str) -> bytearray:
    """Return a file's content, outside of the heap."""
    libc = ffi.open("libc.so.6")
    file = libc.func("i", "open", "si")(path, _READ_ONLY)
    if file < 0:
        raise OSError("cannot open " + path)
    size = libc.func("i", "lseek", "iii")(file, 0, _SEEK_END)
    address = libc.func("P", "mmap", "piiiii")(0, size, _PROT_READ, _MAP_PRIVATE, file, 0)
    return uctypes.bytearray_at(address, size)  # type: ignore[no-any-return]


def mount(path: str) -> None:
    """Let modules be imported from an image, and from nowhere else."""
    vfs.mount(vfs.VfsRom(_mapped(path)), "/rom")
    sys.path[:] = ["/rom"]


if __name__ == "__main__":
    mount(sys.argv[1])
    from firmware.program import main

    main(sys.argv[2:])
