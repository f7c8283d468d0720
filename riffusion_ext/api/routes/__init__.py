"""The routes of ``/riffusion/v1``, a module for each group."""
