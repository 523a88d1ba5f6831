"""The fleet: validators, how they are enrolled and revoked, and the documents that are signed for them."""
