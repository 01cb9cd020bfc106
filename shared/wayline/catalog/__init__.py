"""The catalogue: what can be offered to whom, where, and what is known about customers."""
