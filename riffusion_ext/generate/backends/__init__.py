"""Backends that generate images: the interface, remote webuis, and a pool of several."""
