"""Files and their names: atomic writes, folders, result names, temporary files."""
