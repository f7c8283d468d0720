"""The command line's commands, a module each; :mod:`riffusion_ext.cli` puts them together.

Modules here import torch and the rest only inside the functions that run: ``--help`` answers at once.
"""
