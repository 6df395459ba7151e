"""Consumer keys: their secrets, and what happens to them from issue to revocation."""
