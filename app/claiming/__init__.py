"""What consumers see: the page of a claim link, and their own page after logging in."""
