"""Readers and writers of sound files, a module for each format or library."""
