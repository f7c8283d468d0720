"""How request bodies are received, parsed and validated."""
