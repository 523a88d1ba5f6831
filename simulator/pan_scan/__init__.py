"""`jolaqy-sim pan-scan`: no card number of a rider is anywhere but on the card, and in the conversation that reads it."""
