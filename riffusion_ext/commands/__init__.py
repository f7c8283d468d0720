"""Commands of the command line, one per module; :mod:`riffusion_ext.cli` assembles them.

Modules here import torch and other heavy packages only inside functions, so that ``--help`` answers at once.
"""
