"""Fields: the base of the plain data classes, whose annotated names become slots and parameters of the constructor.

A class costs 50 microseconds at start, where ``dataclass(slots=True)`` takes 195 (measured with nine fields), and there
are forty of them. Representation and comparison are the same for all, so they are written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class _Factory:
    """Makes the default of a field anew for each object."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], Any]) -> Any:  # noqa: ANN401  # the type is the field's
    """The default of a field that must not be shared, such as a list."""
    return _Factory(default_factory)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
class _FieldsType(type):
    """Turns the annotations of a class into ``__slots__``, ``__match_args__`` and ``__init__``, in their order."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _FieldsType:
        own = [key for key, kind in namespace.get("__annotations__", {}).items() if not kind.startswith("ClassVar")]
        inherited: dict[str, Any] = {}
        for base in reversed(bases):
            inherited |= getattr(base, "_defaults", {})
        names = [*dict.fromkeys(key for base in bases for key in getattr(base, "__match_args__", ()))]
        defaults = inherited | {key: namespace.pop(key) for key in own if key in namespace}
        names += [key for key in own if key not in names]
        namespace.setdefault("__slots__", tuple(own))
        namespace["__match_args__"] = tuple(names)
        namespace["_defaults"] = defaults
        if own and "__init__" not in namespace:
            namespace["__init__"] = _constructor(names, defaults)
        return super().__new__(cls, name, bases, namespace)


def _constructor(names: list[str], defaults: dict[str, Any]) -> Callable[..., None]:
    """A function that sets the fields: compiled from source, as a loop takes four times as long per object."""
    parameters = ", ".join(f"{name}=_{name}" if name in defaults else name for name in names)
    lines = [
        f" self.{name} = _{name}.make() if {name} is _{name} else {name}"
        if isinstance(defaults.get(name), _Factory)
        else f" self.{name} = {name}"
        for name in names
    ]
    scope = {f"_{name}": value for name, value in defaults.items()}
    exec(f"def __init__(self, {parameters}):\n" + "\n".join(lines), scope)  # noqa: S102  # of field names alone
    constructor: Callable[..., None] = scope["__init__"]
    return constructor


class Fields(metaclass=_FieldsType):
    """Represented and compared field by field.

    A field is an annotated name of the class; a default may follow it. Annotations must be strings, as they are under
    ``from __future__ import annotations``.
    """

    __match_args__: ClassVar[tuple[str, ...]]

    def _values(self) -> list[Any]:
        return [getattr(self, name) for name in self.__match_args__]

    def replaced(self, **changes: Any) -> Self:  # noqa: ANN401  # any field
        """A copy with some fields changed."""
        return type(self)(**dict(zip(self.__match_args__, self._values(), strict=True)) | changes)

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # their fields change
