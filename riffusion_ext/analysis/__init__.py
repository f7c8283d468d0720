"""Music analysis: onset strength, tempo, beats, downbeats, key."""
