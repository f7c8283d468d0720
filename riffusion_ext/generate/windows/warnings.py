"""Warnings about a plan."""

from __future__ import annotations

from collections.abc import Sequence

from riffusion_ext.generate.score.keyframes import Keyframe
from riffusion_ext.generate.windows.plan import Plan

__all__ = ["skipped_keyframes"]

_MIN_SHARE = 0.5 - 1e-6
"""Smallest share of a prompt in some window at which it is audible."""


def skipped_keyframes(plan: Plan, keyframes: Sequence[Keyframe]) -> list[str]:
    """Return a sentence about each keyframe so short that its prompt has the larger share in no window.

    Parameters
    ----------
    plan
        Plan of the song.
    keyframes
        Keyframes that it was planned from.
    """
    shares: dict[tuple[str, str], float] = {}
    for window in plan.windows:
        moment = window.moment
        for side, share in ((moment.a, 1.0 - moment.alpha), (moment.b, moment.alpha)):
            texts = (side.prompt, side.negative)
            shares[texts] = max(share, shares.get(texts, 0.0))
    if len(plan.windows) == 1:
        why = "the whole is one window, which has one prompt"
    else:
        step = (plan.windows[1].start - plan.windows[0].start) * plan.params.hop_length / plan.params.sample_rate
        why = f"it is too short, there is a window every {step:.2f} s"
    return [
        f"keyframe {number}, {keyframe.prompt!r}, is passed over: {why}"
        for number, keyframe in enumerate(keyframes, 1)
        if shares.get((keyframe.prompt, keyframe.negative), 0.0) < _MIN_SHARE
    ]
