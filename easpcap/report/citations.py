"""Which capture holds a frame, and what that capture is called where there is little room."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, Final

from easpcap.report.escape import shortened, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.results import InputFile

_NAME_WIDTH: Final = 24


class Citer:
    """Finds the capture file that a frame number over all captures belongs to."""

    def __init__(self, inputs: list[InputFile]) -> None:
        sources = sorted((source for source in inputs if source.packets), key=lambda source: source.first_frame)
        self._firsts = [source.first_frame for source in sources]
        self._paths = [path_text(source.path) for source in sources]

    def cite(self, frame: int | None) -> tuple[str | None, int | None]:
        """(path of the capture, frame number in it) for a frame number over all captures; (None, None) if unknown."""
        place = bisect_right(self._firsts, frame) - 1 if frame is not None else -1
        if frame is None or place < 0:
            return None, None
        return self._paths[place], frame - self._firsts[place] + 1


def path_text(path: str) -> str:
    """A file name as valid Unicode: bytes that are not UTF-8 become backslash escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def file_name(path: str) -> str:
    """The name without its folders, from either kind of system, shortened."""
    return shortened(_last_parts(path, 1), _NAME_WIDTH)


def short_names(inputs: Sequence[InputFile]) -> dict[str, str]:
    """A name for each capture, by its path as in `Citer.cite`: with as many folders as make it differ from the others.

    Names are shortened where they differ all the same.
    """
    paths = list(dict.fromkeys(path_text(source.path) for source in inputs))
    names = {path: shown(path) for path in paths}
    unnamed, parts = paths, 1
    most = max((path.count("/") + path.count("\\") for path in paths), default=0) + 1
    while unnamed and parts <= most:
        count = Counter(_last_parts(path, parts) for path in paths)
        names |= {path: name for path in unnamed if count[name := _last_parts(path, parts)] == 1}
        unnamed = [path for path in unnamed if count[_last_parts(path, parts)] > 1]
        parts += 1
    count = Counter(shortened(name, _NAME_WIDTH) for name in names.values())
    return {path: short if count[short := shortened(name, _NAME_WIDTH)] == 1 else name for path, name in names.items()}


def _last_parts(path: str, parts: int) -> str:
    return shown("/".join(path.replace("\\", "/").rsplit("/", parts)[-parts:]))
