"""Labs whose controller is killed."""
