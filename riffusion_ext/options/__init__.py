"""One declaration for each setting: name, type, default, bounds, label, help, infotext key.

::

    generate, dataset, convert, spectrogram      bounds and defaults of the settings
                     |
                  options                        declarations, and settings made from values by name
                     |
    pages, command line, HTTP API, host          components, arguments, request bodies, infotext

Importing a module of this package imports neither gradio, argparse, pydantic nor torch: ``--help`` answers at once.
"""
