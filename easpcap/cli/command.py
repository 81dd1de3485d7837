"""A command of the command line: what it is called in the overview, which options it takes, what it runs."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, get_type_hints

import typer

from easpcap.cli.options import Options
from easpcap.cli.run import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field

OptionsT = TypeVar("OptionsT", bound=Options)


class Command(NamedTuple, Generic[OptionsT]):
    """One command. ``options`` is Options or a class derived from it; ``run`` returns the exit status."""

    summary: str
    options: type[OptionsT]
    run: Callable[[OptionsT], int]

    def callback(self) -> Callable[..., None]:
        """The function that typer registers: one parameter per field of ``options``."""

        def call(**values: Any) -> None:  # noqa: ANN401  # typer passes what the fields of options say
            options = self.options(**values)
            raise typer.Exit(guarded(lambda: self.run(options), debug=options.debug))

        types = get_type_hints(self.options, include_extras=True)
        parameters = [_parameter(field, types[field.name]) for field in fields(self.options)]
        vars(call)["__signature__"] = inspect.Signature(parameters)  # typer asks inspect.signature()
        return call


def _parameter(field: Field[Any], annotation: object) -> inspect.Parameter:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=annotation,
    )
