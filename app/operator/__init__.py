"""The operator's face: keys, consumers, what is held and why, events, connections."""
