"""Validate values from untrusted files, requests and texts."""
