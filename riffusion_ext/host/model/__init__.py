"""The webui's own model: generation, conditioning, noise, tiling."""
