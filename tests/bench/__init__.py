"""What Jolaqy costs, measured beside a peer or a limit in the same run: `python -m tests.bench`.

One module a measure; each has a `measure` that returns a table. A figure belongs to a machine; a ratio does so less.
"""
