"""From mel magnitudes to a waveform."""
