"""Random numbers by place: what is drawn for one thing does not depend on what else is drawn."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def draws(seed: int, module: str, *place: int) -> np.random.Generator:
    """The stream of a module at a place (a superblock, a crossing, a street): the same in every run, in every
    process and at every size of the city."""
    text = "/".join([str(seed), module, *map(str, place)])
    key = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def key(seed: int, *place: object) -> int:
    """A number of 64 bits that stands for its arguments."""
    text = "/".join(map(str, (seed, *place)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def uniform(of: int, counters: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) of a key and each counter, whatever was asked before: splitmix64 (Steele, Lea,
    Flood: Fast splittable pseudorandom number generators, 2014)."""
    z = np.uint64(of) + counters.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
