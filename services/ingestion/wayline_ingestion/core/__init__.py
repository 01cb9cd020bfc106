"""What is pure: the rules that an event must meet."""
