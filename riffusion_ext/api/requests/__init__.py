"""Receive, parse and validate request bodies."""
