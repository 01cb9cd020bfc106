"""What Wayline's services share: contracts (`v1`), the bus, settings, lifecycle, the catalogue and model scoring."""
