"""What all values have in common: the recorder and the locks around it, a total of this process, and a series."""

from __future__ import annotations

import os

from prometheus_client.samples import Exemplar

from ...model.fork_lock import LOADING, fork_lock, hold_at_forks
from ..pending_series import PendingSeries
from ..recorder import Recorder

__all__ = ["RECORDER", "SETUP_LOCK", "SHARING", "LocalTotal", "SeriesValue"]

# prometheus_client's instruments belong to the process, and so does the recorder.
RECORDER = Recorder()
# A fork takes the lock first that was made last. So they are made against the order in which a thread takes them: who
# sets up shares, and who shares records.
os.register_at_fork(
    before=RECORDER.prepare_fork,
    after_in_parent=lambda: RECORDER.lock.release(),  # noqa: PLW0108  a child has another lock
    after_in_child=RECORDER.start_in_child,
)
hold_at_forks(LOADING)
# Held while an instrument gets its values: it may be registered in two registries at once. A fork waits, so that no
# child has half of its values.
SHARING = fork_lock()
# Held while the process's instruments, its catalogue and its pipeline are set up: each of them exists once. Reentrant:
# a signal handler may flush in a thread that holds it.
SETUP_LOCK = fork_lock()


class LocalTotal:
    """What this process has added up or set last, and the last exemplar that the program gave."""

    __slots__ = ("_exemplar", "_total")

    def __init__(self) -> None:
        self._total = 0.0
        self._exemplar: Exemplar | None = None

    def get(self) -> float:
        return self._total

    def get_exemplar(self) -> Exemplar | None:
        return self._exemplar


class SeriesValue(LocalTotal):
    """The one value of a series; `process` is the id of the process whose total it has."""

    __slots__ = ("process", "series")

    def __init__(self, series: PendingSeries) -> None:
        super().__init__()
        self.series = series
        self.process = os.getpid()

    def reset_after_fork(self) -> None:
        """Begin at zero in a forked child: what the parent holds stays the parent's."""
        if self.process != os.getpid():
            self.process, self._total = os.getpid(), 0.0
