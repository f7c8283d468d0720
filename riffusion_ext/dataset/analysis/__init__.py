"""What is measured of songs and of their windows."""
