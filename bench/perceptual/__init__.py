"""Perceptual judge: sounds compared with their full-band sources by Zimtohrli and ViSQOL. See bench/README.md."""

from bench.perceptual.section import measure

__all__ = ["measure"]
