"""Conventions that HDF5 episodes follow: how many pictures a second, and what is wrong with their colours or upside.

Sources: tonyzhaozh/act (constants.py: DT = 0.02) and act-plus-plus (compress_data.py), agilexrobotics/cobot-magic
(collect_data.py: frame_rate 30), ARISE-Initiative/robosuite (control_freq 20), Lifelong-Robot-Learning/LIBERO,
TianxingChen/RoboTwin (pkl2hdf5.py).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

import h5py
import numpy as np

from mediaref_tools.errors import LogError

from .file import Tree, attribute
from .pictures import Pictures

__all__ = ["PROFILES", "Convention", "convention", "named_fps"]

PROFILES: Final = {"aloha": Fraction(50), "agilex": Fraction(30), "robomimic": Fraction(20), "libero": Fraction(20)}
"""Pictures a second by profile."""

_UPSIDE_DOWN = ("agentview_rgb", "eye_in_hand_rgb")
_ARM = 14  # joints of ALOHA's two arms


class Convention(NamedTuple):
    """What a file's layout tells beyond what it says: `notes` and `fps_why` are for people."""

    fps: Fraction | None
    fps_why: str
    channel_order: str
    orientation: str
    notes: tuple[str, ...]


def named_fps(profile: str | None) -> Fraction | None:
    """The rate of a profile.

    Raises:
        LogError: There is no such profile.
    """
    if profile is None:
        return None
    if profile not in PROFILES:
        raise LogError(f"unknown profile {profile!r}: one of {', '.join(PROFILES)}")
    return PROFILES[profile]


def convention(file: h5py.File, tree: Tree, pictures: Pictures, profile: str | None) -> Convention:
    """What the layout tells of a dataset of pictures."""
    notes = []
    folder, _, name = pictures.path.rpartition("/")
    order = "gray" if pictures.channels == 1 else "rgb"
    if pictures.layout == "file" and (_is_robotwin(pictures) or _is_compressed_aloha(file, pictures)):
        order = "bgr"
        notes.append(
            "its writer gave RGB arrays to cv2.imencode, so red and blue of its JPEGs are likely swapped: "
            "nothing is changed, --swap-rb would correct them"
        )
    orientation = "as stored"
    libero = name in _UPSIDE_DOWN and all(f"{folder}/{other}" in tree.datasets for other in _UPSIDE_DOWN)
    if libero or (profile == "libero" and name in _UPSIDE_DOWN):
        orientation = "upside down"
        notes.append("LIBERO's pictures are upside down: nothing is flipped")
    fps = named_fps(profile)
    why = "" if fps is None else f"{float(fps):g} a second, by the profile {profile}"
    if fps is None and _is_aloha(file, tree, pictures):
        fps = PROFILES["aloha"]
        why = "50 a second, by ALOHA's layout (attribute sim, 14 joints, observations/images)"
    return Convention(fps, why, order, orientation, tuple(notes))


def _is_robotwin(pictures: Pictures) -> bool:
    parts = pictures.path.split("/")
    return parts[0] == "observation" and parts[-1] == "rgb" and pictures.dtype.kind == "S"


def _is_compressed_aloha(file: h5py.File, pictures: Pictures) -> bool:
    return pictures.path.startswith("observations/images/") and _says_compressed(file) is True


def _says_compressed(file: h5py.File) -> bool | None:
    value = attribute(file, "compress")
    return None if value is None or np.size(value) != 1 else bool(value)


def _is_aloha(file: h5py.File, tree: Tree, pictures: Pictures) -> bool:
    """Whether it is an episode of ACT and not of AgileX, at 30 a second: those say `compress` and may have depth."""
    if "sim" not in file.attrs or not pictures.path.startswith("observations/images/"):
        return False
    if _says_compressed(file) is False or "observations/images_depth" in tree.groups:
        return False
    joints = ("action", "observations/qpos", "observations/qvel")
    return all(path in tree.datasets and file[path].shape == (pictures.rows, _ARM) for path in joints)
