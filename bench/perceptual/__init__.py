"""Perceptual judge: sounds compared with their full-band sources by Zimtohrli and ViSQOL. See bench/README.md."""
