"""Statistics: the cashless share, with its definitions."""
