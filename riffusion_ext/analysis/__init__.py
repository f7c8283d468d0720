"""Rhythm and key of music: onset strength, tempo, beats, downbeats, key."""
