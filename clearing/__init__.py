"""Jolaqy's back office: what validators and channels report becomes fares, ledger entries and shares."""
