"""Whole songs from an image model: plans, windows, weaving, loops, and the seam to whatever generates the images.

::

    Score --plan--> windows --Backend.generate--> images --weave--> one wide spectrogram --decode once--> sound

Nothing here knows a webui: who generates is a :class:`~riffusion_ext.generate.backends.base.Backend`.
"""
