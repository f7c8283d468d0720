"""Whether a sound file is complete and its samples are valid, and what is done where they are not."""
