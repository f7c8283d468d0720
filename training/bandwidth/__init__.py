"""Make the weights of bandwidth extension: ``python -m training.bandwidth``.

::

    Debian's music, synthesised sounds -> windows of 5 s -> altered sound -> image -> altered image -> decoded by `fast`
                                              |                                                        |
                                              target: energy above the cutoff                  features below the cutoff

``riffusion_ext/bandwidth/MODEL_CARD.md`` describes the result.
"""
