"""Whole songs from a picture model: plans, windows, weaving, loops, and the seam to whatever paints the pictures.

::

    Score --plan--> windows --Backend.generate--> pictures --weave--> one wide spectrogram --decode once--> sound

Nothing here knows a webui: who paints is a :class:`~riffusion_ext.generate.backends.base.Backend`.
"""
