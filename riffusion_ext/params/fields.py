"""The fields of the spectrogram parameters, and the lengths and levels that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

from riffusion_ext.params.bounds import DEFAULT_MAX_VALUE
from riffusion_ext.params.samples import samples_of

__all__ = ["SpectrogramFields"]

_FULL_SCALE = 32768.0
_LOUD_SLANEY = 2e6  # about the loudest band of music at full scale, in bands normalised to their width


@dataclass(frozen=True)
class SpectrogramFields:
    """Parameters of a mel spectrogram image, unchecked; see :class:`SpectrogramParams`.

    Parameters
    ----------
    sample_rate
        Samples per second of the audio, in Hz, 8000 to 192000.
    stereo
        Two channels, kept in the green (left) and blue (right) channels of the image.
    step_size_ms
        Time between two columns of the image, in ms.
    window_duration_ms
        Length of the Hann analysis window, in ms.
    padded_duration_ms
        Length of the zero-padded FFT, in ms; at least the window.
    num_frequencies
        Mel bands, one for each row of the image. Row 0 (the top) is the highest.
    min_frequency, max_frequency
        Edges of the mel filterbank, in Hz.
    power_for_image
        Exponent between magnitude and pixel: ``pixel = 255 - 255 * (mel / max_value) ** power_for_image``.
    mel_scale
        ``"htk"``, or ``"slaney"``, librosa's default. See :mod:`~riffusion_ext.params.mel_scale`.
    mel_norm
        ``"none"``: filters have peaks of 1. ``"slaney"``: an area of 1 Hz, librosa's default.
    spectrum
        ``"magnitude"``, or ``"power"``, its square: what the bands are sums of. Magnitudes of bands are square roots
        of sums of power then.
    pixel_law
        ``"power"``: as `power_for_image` says. ``"ln"`` and ``"db"``: the loudness of a pixel is linear in the
        logarithm of the spectrum, from `pixel_min` to `pixel_max`.
    pixel_min, pixel_max
        Ends of the range of pixels. With ``"ln"``, values of the spectrum of sound of full scale 1, above 0. With
        ``"db"``, decibels relative to `max_value`. With ``"power"``, 0 and 1.
    polarity
        Which pixels are loud: ``"dark"`` or ``"bright"``.
    low_at_top
        Whether row 0 (the top) is the lowest band, not the highest.
    centre
        Whether column t shows the window whose centre is sample ``t * hop_length``.
    padding
        Samples reflected at each end if `centre` is false: column t is centred at ``t * hop_length + n_fft / 2 -
        padding``. At most half of `n_fft`; 0 if `centre` is true, where half of `n_fft` is padded.
    pad_mode
        What the windows at the ends see beyond them: ``"reflect"`` or ``"zeros"``.
    pre_emphasis
        Coefficient a of the filter ``y[n] = x[n] - a * x[n - 1]`` before the analysis, 0 to 0.99; decoding inverts it.
    """

    sample_rate: int = 44100
    stereo: bool = False
    step_size_ms: int = 10
    window_duration_ms: int = 100
    padded_duration_ms: int = 400
    num_frequencies: int = 512
    min_frequency: int = 0
    max_frequency: int = 10000
    power_for_image: float = 0.25
    mel_scale: str = "htk"
    mel_norm: str = "none"
    spectrum: str = "magnitude"
    pixel_law: str = "power"
    pixel_min: float = 0.0
    pixel_max: float = 1.0
    polarity: str = "dark"
    low_at_top: bool = False
    centre: bool = True
    padding: int = 0
    pad_mode: str = "reflect"
    pre_emphasis: float = 0.0

    @property
    def hop_length(self) -> int:
        """Samples between two columns."""
        return samples_of(self.step_size_ms, self.sample_rate)

    @property
    def win_length(self) -> int:
        """Samples in the analysis window."""
        return samples_of(self.window_duration_ms, self.sample_rate)

    @property
    def n_fft(self) -> int:
        """Samples in the zero-padded FFT."""
        return samples_of(self.padded_duration_ms, self.sample_rate)

    @property
    def lead(self) -> int:
        """Samples from the start of the sound to the centre of column 0: 0 if centred, else half of what is missing."""
        return 0 if self.centre else self.n_fft // 2 - self.padding

    @property
    def silence(self) -> int:
        """Grey level of silence: 255 (white) or 0 (black)."""
        return 255 if self.polarity == "dark" else 0

    @property
    def default_max_value(self) -> float:
        """Mel magnitude of the loudest pixel in images that do not record theirs (16-bit sample units)."""
        if self.pixel_law == "ln":
            return _FULL_SCALE * self.band_magnitude(self.pixel_max)
        return DEFAULT_MAX_VALUE if self.mel_norm == "none" else _LOUD_SLANEY

    def band_magnitude(self, value: float) -> float:
        """Convert a value of the spectrum to the magnitude of a band: its square root if it is power."""
        return value if self.spectrum == "magnitude" else value**0.5

    @property
    def channels(self) -> int:
        """Audio channels: 1 or 2."""
        return 2 if self.stereo else 1

    def samples_of_columns(self, columns: int) -> int:
        """Count the samples of audio in an image of that many columns: ``(columns - 1) * hop_length + 2 * lead``.

        512 columns are 5.11 s, as the last column is a point in time and has no length. A song cut into tiles of 512
        columns advances 512 hops (5.12 s) per tile; only the song as a whole is one hop shorter.
        """
        return max(columns - 1, 0) * self.hop_length + (2 * self.lead if columns else 0)

    def columns_of_samples(self, samples: int) -> int:
        """Count the columns in the image of that many samples: ``1 + (samples - 2 * lead) // hop_length``."""
        return 1 + max(samples - 2 * self.lead, 0) // self.hop_length
