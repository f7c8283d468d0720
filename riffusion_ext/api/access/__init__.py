"""Who may send requests: hosts, origins, credentials, and limits for what is sent."""
