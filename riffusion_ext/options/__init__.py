"""Declarations of all settings: name, type, default, bounds, label, help, infotext key.

::

    generate, dataset, convert, spectrogram      bounds and defaults of the settings
                     |
                  options                        declarations, and settings made from values by name
                     |
    pages, command line, HTTP API, host          components, arguments, request bodies, infotext

Modules of this package import neither gradio, argparse, pydantic nor torch, so that ``--help`` is fast.
"""
