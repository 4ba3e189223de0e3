"""Scripts of edits, loads, drops and other programs' work, made by chance from a seed, done to a store and to
the model of it at once."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from tests.histories.edits import Edits
from tests.histories.loads import Loads
from tests.histories.others import Others


class Script(Edits, Loads, Others):
    """One city and every act there is."""

    def step(self, apart: Container[Callable[[], None]] = ()) -> None:
        """Do one act of any kind but those; model and store then agree."""
        acts: Mapping[Callable[[], None], int] = {
            self.load: 4,
            self.create: 3,
            self.patch: 4,
            self.replace: 3,
            self.delete: 2,
            self.send_back: 1,
            self.drop: 1,
            self.record: 1,
            self.other_program: 5,
            self.other_columns: 1,
            self.mistake: 1,
            self.refused_load: 1,
            self.reopen: 1,
        }
        likely = {act: weight for act, weight in acts.items() if act not in apart}
        act = self.rng.choices(list(likely), list(likely.values()))[0] if self.city else self.load
        act()
        self.settle()

    def reopen(self) -> None:
        """The server stops and starts again."""
        self.said.append("reopen")
        self.store.close()
        self.store = self.opener()
