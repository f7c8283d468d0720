"""Songs into training sets: cut, measure, choose, caption, write.

::

    songs -- measure --> columns of 10 ms -- windows --> images -- curate --> kept, rejected -- export --> training

Nothing is ever deleted: a window that is rejected is kept aside with the reason, and can be brought back.
"""
