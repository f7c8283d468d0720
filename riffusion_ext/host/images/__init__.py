"""Generated images of the webui: their sound, spectrogram parameters and files."""
