"""Options of conversions between images and sound files, beside those of the sound and of the cut."""
