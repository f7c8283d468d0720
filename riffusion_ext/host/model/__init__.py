"""Generation with the webui's model: conditioning, noise, tiling."""
