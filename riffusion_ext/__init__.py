"""Convert spectrogram images to audio and back, for Riffusion models in a Stable Diffusion webui.

Importing this package is cheap: it imports neither torch nor gradio. Use the subpackages:
:mod:`riffusion_ext.spectrogram` (image <-> audio), :mod:`riffusion_ext.audio` (clips and sound files).
"""

__version__ = "0.1.0"
