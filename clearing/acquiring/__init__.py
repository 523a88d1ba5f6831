"""Fares by bank card, from a window's sum to the settled money: authorised, captured, declined, recovered, given back."""
