"""Access control: hosts, origins, credentials, and size limits of requests."""
