"""The proof of exactly once: a story of events, told once in peace and once among killings, ends in the same state."""
