"""The ledger: double entry in whole tiyn, append-only, balanced by construction."""
