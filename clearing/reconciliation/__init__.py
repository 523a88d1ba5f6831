"""What counterparties say against what our books say: statements read, matched, and every difference worked off."""
