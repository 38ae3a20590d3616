"""prometheus_client's own value, after one of ours took its place."""

from __future__ import annotations

from typing import Any

from prometheus_client.samples import Exemplar
from prometheus_client.values import MutexValue

__all__ = ["ReplacedValue", "take_place"]


def take_place(old: Any, new: Any) -> None:
    """Carry over to a value of ours what the old one has, and pass on to it what still arrives there.

    Args:
        old: a value of prometheus_client's.
        new: the value of ours, without anything recorded.
    """
    with old._lock:  # noqa: SLF001  it is private, and so are the numbers
        new.carry_over(old._value)  # noqa: SLF001
        if old._exemplar is not None:  # noqa: SLF001
            new.set_exemplar(old._exemplar)  # noqa: SLF001
        old.successor = new
        old.__class__ = ReplacedValue


class ReplacedValue(MutexValue):
    """Passes everything on, for threads that took the old value from its instrument before the new one was there.

    Such a thread may be anywhere inside `MutexValue.inc`, also before its line `self._value += amount`. So the fields
    of the old value pass on as well: an addition as an addition, since other threads may add to the new one meanwhile.
    """

    successor: Any

    def inc(self, amount: float) -> None:
        """Pass it on, as all that follow."""
        self.successor.inc(amount)

    def set(self, value: float, timestamp: float | None = None) -> None:
        self.successor.set(value, timestamp)

    def set_exemplar(self, exemplar: Exemplar) -> None:
        self.successor.set_exemplar(exemplar)

    def get(self) -> float:
        total: float = self.successor.get()
        return total

    def get_exemplar(self) -> Exemplar | None:
        exemplar: Exemplar | None = self.successor.get_exemplar()
        return exemplar

    @property
    def _value(self) -> float:
        return _Total(self.get())

    @_value.setter
    def _value(self, value: float) -> None:
        if isinstance(value, _Added):
            self.inc(float(value))
        else:
            self.set(value)

    @property
    def _exemplar(self) -> Exemplar | None:
        return self.get_exemplar()

    @_exemplar.setter
    def _exemplar(self, exemplar: Any) -> None:
        self.set_exemplar(exemplar)


class _Total(float):
    """What was read, for `+=`, which then sets an amount instead of a sum."""

    __slots__ = ()

    def __iadd__(self, amount: float) -> _Added:
        return _Added(amount)


class _Added(float):
    """An amount to add."""

    __slots__ = ()
