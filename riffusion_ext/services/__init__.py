"""Services shared by pages, command line, HTTP routes and hosts: rendering pieces, and access to the model."""
