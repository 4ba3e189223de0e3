"""A program of the drills, which says after each act that it ended, killed at any moment."""

from __future__ import annotations

import random
import subprocess

import pytest

from tests import launcher


def run_and_kill(program: str, arguments: list[str], chance: random.Random, acts: int, seconds: float) -> int:
    """Kill ``tests.crash.PROGRAM`` after up to so many acts and seconds more; how many had ended."""
    child = launcher.start(arguments, program=f"tests.crash.{program}")
    ended = 0
    try:
        assert child.stdout.readline() == "ready\n"
        for ended in range(1, chance.randrange(2, acts + 2)):  # noqa: B007
            assert child.stdout.readline().strip().isdigit()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(chance.uniform(0.0, seconds))
    finally:
        child.kill()
        child.wait(10)
        ended += child.stdout.read().count("\n")
        child.stdout.close()
        assert child.stderr.read() == ""
        child.stderr.close()
    return ended
