"""Links to the clearing service."""
