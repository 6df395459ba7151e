"""What happened: every event, in the order it happened, in a table that cannot be rewritten."""
