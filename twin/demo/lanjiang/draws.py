"""Random numbers by place: what is drawn for one thing does not depend on what else is drawn."""

from __future__ import annotations

import hashlib

import numpy as np


def draws(seed: int, module: str, *place: int) -> np.random.Generator:
    """The stream of a module at a place (a superblock, a crossing, a street): the same in every run, in every
    process and at every size of the city."""
    text = "/".join([str(seed), module, *map(str, place)])
    key = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
