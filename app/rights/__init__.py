"""Rights: directory state in, rights out. Nothing here is stored, and nothing here writes."""
