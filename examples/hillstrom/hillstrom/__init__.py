"""The e-mail trial of Kevin Hillstrom's MineThatData challenge, through Wayline."""
