"""Build training sets from songs: slice, measure, curate, caption, export.

::

    songs -- measure --> columns of 10 ms -- windows --> images -- curate --> kept, rejected -- export --> training

No image is ever deleted. A rejected window is kept in its own folder with the reason, and can be restored.
"""
