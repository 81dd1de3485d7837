"""Gives results their final frame numbers, where captures that overlap were read before all packets were counted."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from easpcap.fields import Fields
from easpcap.http.exchange import Exchange
from easpcap.results import Connection, LocatedAnomaly

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.pipeline.partial import Partial

    Renumber = Callable[[int], int]


def renumber(partial: Partial, final: Renumber) -> None:
    """Replace every frame in a partial by ``final`` of it, which must keep their order."""
    _Renumbering(final).visit(partial)
    partial.unanswered = array("q", map(final, partial.unanswered))


#: Fields that are plain frame numbers (see `Partial`).
_FRAME_FIELDS: dict[type[Fields], tuple[str, ...]] = {
    Connection: ("id",),
    Exchange: ("connection",),
    LocatedAnomaly: ("frame", "connection"),
}


class _Renumbering:
    """Visits every object of the results once."""

    def __init__(self, final: Renumber) -> None:
        self._final = final
        self._seen: set[int] = set()

    def visit(self, value: Any) -> Any:  # noqa: ANN401  # anything that results hold
        """The value with final frames: a new one, or the same object changed."""
        match value:
            case Fields():
                if id(value) not in self._seen:
                    self._seen.add(id(value))
                    self._visit_fields(value)
            case list():
                value[:] = [self.visit(item) for item in value]
            case tuple():
                return self._visit_tuple(value)
            case _:
                pass
        return value

    def _visit_tuple(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        names = getattr(value, "_fields", ())  # of a named tuple
        if "frame" in names:
            value = value._replace(frame=self._final(value.frame))  # type: ignore[attr-defined]  # mypy: not named
        items = [self.visit(item) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return type(value)(*items) if names else tuple(items)

    def _visit_fields(self, value: Fields) -> None:
        own_numbers = _FRAME_FIELDS.get(type(value), ())
        for name in value.__match_args__:
            old = getattr(value, name)
            new = self._final(old) if name in own_numbers and old is not None else self.visit(old)
            if new is not old:
                setattr(value, name, new)
