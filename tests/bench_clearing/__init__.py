"""Measures of clearing a large day, beside peers that do the same in the same run."""
