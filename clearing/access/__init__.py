"""Access: who may do what, what needs two persons, and the log of what was done."""
