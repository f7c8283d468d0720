"""Whole songs from an image model: plans, windows, blending, loops, and the interface to what generates the images.

::

    Score --plan--> windows --Backend.generate--> images --blend--> one wide spectrogram --decode once--> sound

Nothing here imports a webui: images come from a :class:`~riffusion_ext.generate.backends.base.Backend`.
"""
