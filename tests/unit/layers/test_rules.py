"""Each rule that a report can tell says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import layers
from layers.read.cityjson.features import FAULTS
from layers.read.meshes.repair import FAULTS as OF_MESHES
from layers.rules import ADVICE

SOURCE = Path(layers.__file__).parent
#: A rule as findings are written: by Problem, note or drop, on this line or the next.
TOLD = re.compile(r'(?:Problem|\bnote|\bdrop)\(\s*(?:[^"()]*(?:\([^"()]*\))?,\s*)?"([a-z_]+\.[a-z_]+)"')
#: Rules whose beginning is a field's.
MADE = {
    f"{what}.{how}"
    for what in ("height", "levels", "min_height", "min_level")
    for how in ("range", "unreadable")
} | {f"geometry.{what}" for what in ("flat", "heights", "measures")}


def test_every_rule_has_advice_and_every_advice_a_rule() -> None:
    texts = [file.read_text("utf-8") for file in SOURCE.rglob("*.py") if file.name != "rules.py"]
    told = {rule for text in texts for rule in TOLD.findall(text)} | MADE | FAULTS.keys() | OF_MESHES.keys()
    assert len(told) > 50
    assert told - set(ADVICE) == set(), "say in layers/rules.py what helps"
    everything = "\n".join(texts)
    assert {rule for rule in ADVICE if rule not in MADE and f'"{rule}"' not in everything} == set()
    assert all(advice and not advice.endswith(".") for advice in ADVICE.values())
