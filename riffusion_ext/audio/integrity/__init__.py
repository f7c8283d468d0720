"""Check sound files for missing sound and invalid samples, and repair what can be repaired."""
