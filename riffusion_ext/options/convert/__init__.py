"""Options of conversions between images and sound files, other than those of the sound and the crop."""
