"""Conversations with cards: generators that yield a command APDU and are sent the response. They do no I/O."""
