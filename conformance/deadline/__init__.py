"""Whether a key is dead for every verification that starts after the answer which withdrew it."""
