"""Coverage-guided fuzzing of every decoder that meets bytes from outside: `python -m tests.fuzz`."""
