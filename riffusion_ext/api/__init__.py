"""HTTP routes: the features of the pages and the command line, for other programs.

::

    client --> guard (password, size) --> routes --> jobs --> core
                                            |         ^
                       ids of clips, images, jobs ---

Nothing here depends on a webui: :class:`~riffusion_ext.api.context.ApiContext` holds what the routes need, and
:func:`~riffusion_ext.api.app.mount` adds them to any FastAPI application. No route accepts or returns a file path.
"""
