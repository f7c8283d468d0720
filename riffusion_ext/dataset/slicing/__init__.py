"""Songs cut into windows."""
