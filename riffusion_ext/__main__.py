"""``python -m riffusion_ext``: the same as the command ``riffusion-ext``."""

from __future__ import annotations

import sys

from riffusion_ext.cli import main

if __name__ == "__main__":
    sys.exit(main())
