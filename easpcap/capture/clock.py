"""ClockWatch: finds where the times of a capture go back, as when its clock was set while it was running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.limits import MAX_CLOCK_STEPS

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: Machines that capture with several queues store packets some milliseconds out of order; a step is longer.
STEP_NS: Final = 10**9


class ClockStep(NamedTuple):
    """The times of a capture go back by ``back_ns`` at its packet ``number``, counted from 1."""

    number: int
    back_ns: int


class ClockWatch:
    """Reads the times of all packets in file order.

    ``end`` is the latest time if there had been no step: the time of a packet plus all steps before it.
    """

    def __init__(self) -> None:
        self.steps: list[ClockStep] = []
        self.end: int | None = None
        self._latest: int | None = None  # of the packets since the last step
        self._back = 0  # all steps so far
        self._packets = 0

    def read(self, times: NDArray[np.int64]) -> None:
        """The times of the next packets."""
        if not len(times):
            return
        start = int(times[0]) if self._latest is None else self._latest
        latest = np.maximum.accumulate(np.maximum(times, start))
        if (latest - times <= STEP_NS).all():
            self._latest = int(latest[-1])
        else:
            self._find_steps(times, start)
        self._packets += len(times)
        end = (self._latest or 0) + self._back
        self.end = end if self.end is None else max(self.end, end)

    def _find_steps(self, times: NDArray[np.int64], latest: int) -> None:
        """Follow the times one by one."""
        for number, time_ns in enumerate(times.tolist(), self._packets + 1):
            back = latest - time_ns
            if back > STEP_NS and len(self.steps) < MAX_CLOCK_STEPS:
                self.steps.append(ClockStep(number, back))
                self._back += back
                latest = time_ns
            latest = max(latest, time_ns)
        self._latest = latest
