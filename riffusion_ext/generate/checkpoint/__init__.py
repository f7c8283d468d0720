"""Generated windows on disk, so that stopped work can be resumed."""
