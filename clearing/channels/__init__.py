"""Channels: what does not come from a validator."""
