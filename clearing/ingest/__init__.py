"""Ingest: signed batches are verified, stored and acknowledged."""
