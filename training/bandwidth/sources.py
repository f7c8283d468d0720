"""The music: packages of Debian 12 whose licences permit modification, split by source.

All are fetched from Debian's archive by ``apt-get download`` and unpacked; nothing of them is shipped. The licences are
those of the music as ``/usr/share/doc/PACKAGE/copyright`` gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HELD_OUT", "TRAINING", "MusicSource"]


@dataclass(frozen=True)
class MusicSource:
    """A package with music.

    Attributes
    ----------
    package
        Name of the Debian package.
    genre
        What most of its music is.
    licence
        Licences of the music.
    """

    package: str
    genre: str
    licence: str


TRAINING = (
    MusicSource("ardentryst", "orchestral", "CC-BY-SA-3.0"),
    MusicSource("colobot-common-sounds", "electronic rock", "GPL-3+"),
    MusicSource("enigma-data", "ambient", "GPL-2+"),
    MusicSource("extremetuxracer-data", "pop, acoustic guitar", "GPL-2+"),
    MusicSource("flare-game", "orchestral, ambient", "CC-BY-SA-3.0+"),
    MusicSource("freeciv-data", "folk", "GPL-2+"),
    MusicSource("freedroidrpg-data", "electronic", "GPL-2+"),
    MusicSource("hedgewars-data", "folk, rock, world", "GFDL-1.3, GPL-2"),
    MusicSource("marsshooter-data", "electronic, rock", "CC-BY-SA-3.0"),
    MusicSource("megaglest-data", "orchestral, world", "CC-BY-SA-3.0"),
    MusicSource("naev-data", "ambient, orchestral, rock", "GPL-2+, GPL-3, CC-BY-3.0, CC-BY-SA-3.0, public domain"),
    MusicSource("planetblupi-music-ogg", "synthesised pop", "GPL-3+"),
    MusicSource("starfighter-data", "metal, electronic", "CC-BY-3.0, CC-BY-SA-3.0, public domain"),
    MusicSource("supertux-data", "chiptune, pop", "GPL-2+, CC-BY-SA-3.0"),
    MusicSource("tuxfootball", "rock", "GPL-2+"),
    MusicSource("warzone2100-music", "industrial, ambient", "GPL-2+, CC0-1.0"),
    MusicSource("widelands-data", "acoustic, folk", "GPL-2+, CC-BY-SA-3.0"),
)
"""Sources that the network is trained on, beside synthesised sounds."""

HELD_OUT = (
    MusicSource("caveexpress-data", "chiptune, pop", "CC-BY-SA-4.0"),
    MusicSource("frozen-bubble-data", "pop from trackers", "GPL-2"),
    MusicSource("hyperrogue-music", "ambient, electronic", "CC-BY-SA-3.0"),
    MusicSource("lincity-ng-data", "electronic", "GPL-2+"),
    MusicSource("pathological", "electronic", "GPL-2+"),
    MusicSource("singularity-music", "ambient, electronic", "CC-BY-SA-3.0"),
    MusicSource("supertuxkart-data", "rock, pop, world", "CC-BY-SA-3.0, CC-BY-SA-4.0, CC0-1.0"),
    MusicSource("wesnoth-1.16-music", "orchestral", "GPL-2+, CC-BY-SA-4.0"),
    MusicSource("xmoto-data", "rock, acoustic", "GPL-2+"),
    MusicSource("zaz-data", "electronic", "CC-BY-SA-3.0"),
)
"""Sources for the evaluation (``python -m bench --only perceptual``); nothing is trained or chosen on them."""
