"""A week of a city's money: real validators by day, every channel and every counterparty, closes and reconciliation at night."""
