"""Pricing: which taps are rides, and what each ride costs and why."""
