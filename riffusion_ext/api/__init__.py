"""HTTP routes: the same features as on the pages and the command line, for other programs.

::

    client --> guard (password, size) --> routes --> jobs --> core
                                            |         ^
                       ids of clips, images, jobs ---

Nothing here knows a webui: :class:`~riffusion_ext.api.context.ApiContext` holds what the routes work with, and
:func:`~riffusion_ext.api.app.mount` puts them into any FastAPI application. No route takes or gives a path of a file.
"""
