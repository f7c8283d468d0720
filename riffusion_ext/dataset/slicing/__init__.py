"""Slice songs into windows."""
