"""The programs we run inside of. The only place that imports webui's ``modules``."""
