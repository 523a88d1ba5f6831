"""The soak: the same promises as in the tests, held for hours. `python -m tests.soak --help`."""
