"""The profile service: folds events into one live profile per customer."""
