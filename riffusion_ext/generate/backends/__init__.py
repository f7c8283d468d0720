"""Where images are generated: the interface, remote webuis, and several of them as one."""
