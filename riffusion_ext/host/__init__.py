"""Integration into the webui, the host. Only this package imports the webui's ``modules``."""
