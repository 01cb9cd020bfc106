"""The decision service: the next best action, in milliseconds, with its reasons."""
