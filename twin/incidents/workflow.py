"""The course of an incident as data: states, and the moves between them."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field, model_validator

from layers import shipped, strict
from layers.errors import BadBody, Conflict
from layers.strict import At, Strict


class State(Strict):
    """A state: its titles per language, and whether a case ends there."""

    title: dict[str, str]
    final: bool = False


class Action(Strict):
    """A move: from which states, to which one, and whether it must be explained."""

    title: dict[str, str]
    sources: tuple[str, ...] = Field(alias="from", min_length=1)
    to: str
    note: Literal["optional", "required"] = "optional"


class Workflow(Strict):
    """A whole table. Refuses moves between states that are not there, and states out of reach."""

    title: dict[str, str]
    initial: str
    states: dict[str, State]
    actions: dict[str, Action]

    @model_validator(mode="after")
    def _whole(self) -> Workflow:
        named = {self.initial}
        for name, action in self.actions.items():
            unknown = {action.to, *action.sources} - set(self.states)
            if unknown:
                hint = strict.hint(min(unknown), self.states)
                raise At(("actions", name), f"there is no state {min(unknown)}{hint}")
            if any(self.states[s].final for s in action.sources):
                raise At(("actions", name), "the action leaves a final state")
            named.add(action.to)
        if named != set(self.states):
            raise At(("states",), f"no action leads to {', '.join(sorted(set(self.states) ^ named))}")
        return self

    def ending(self, final: bool) -> tuple[str, ...]:
        """The states in which a case has ended, or those in which it is open."""
        return tuple(name for name, state in self.states.items() if state.final == final)

    def allowed(self, status: str) -> list[dict[str, object]]:
        """The moves out of a state, in the table's order."""
        return [
            {"action": name, "title": action.title, "to": action.to}
            for name, action in self.actions.items()
            if status in action.sources
        ]

    def move(self, status: str, name: str, note: str) -> str:
        """The state after an action. Raises BadBody (no such action, note missing), Conflict."""
        action = self.actions.get(name)
        if action is None:
            raise BadBody(f"action={name[:40]}: one of {', '.join(self.actions)}")
        if status not in action.sources:
            legal = ", ".join(str(a["action"]) for a in self.allowed(status)) or "none, the case has ended"
            raise Conflict(f"{name} is not possible while the incident is {status}; possible: {legal}")
        if action.note == "required" and not note.strip():
            raise BadBody(f"note: {name} must be explained")
        return action.to

    def public(self) -> dict[str, object]:
        """Titles of states and actions, for the page."""
        return {
            "initial": self.initial,
            "states": {k: {"title": v.title, "final": v.final} for k, v in self.states.items()},
            "actions": {k: {"title": v.title, "to": v.to, "note": v.note} for k, v in self.actions.items()},
        }


@cache
def load(name: str = "city") -> Workflow:
    """A built-in workflow."""
    return strict.read(shipped.folder("workflows") / f"{name}.yml", Workflow, f"workflows/{name}.yml")
