"""Statements: files of counterparties, read as declarative adapters say. Nothing here knows what a city expects."""
