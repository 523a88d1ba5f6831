"""Codes that are shown and scanned: text in, text out."""
