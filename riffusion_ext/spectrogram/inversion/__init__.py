"""Reconstruction of waveforms from mel magnitudes."""
