"""The account of a recovery after a batch: `recovery.lua` written again in Python, for the store in memory."""

from __future__ import annotations

from dataclasses import replace

from ..model.batch import Batch, State
from ..model.recovery import Recovery, is_older

__all__ = ["account_after"]


def account_after(before: Recovery | None, state: State, batch: Batch, now_ms: int) -> tuple[Recovery | None, bool]:
    """Return the account after a batch, and whether the state went back in time and so gets another name.

    Args:
        before: the account before the batch, or None.
        state: the state before the batch.
        batch: the batch to apply.
        now_ms: the store's clock, in ms since 1970.
    """
    known = batch.known
    if not known.incarnation:
        return before, False
    # Other writers may have raised the count past the old one before this writer sees it. That this writer has to send
    # batches again still proves that the state went back.
    is_behind = batch.replaces > 0 or known.batches > state.batches
    is_same = known.incarnation == state.incarnation
    is_from_before = is_older(state.incarnation, known.incarnation)
    went_back = not state.incarnation or (is_same and is_behind) or is_from_before
    has_account = before is not None and before.covers(known)
    replaced = batch.replaces > 0 and known.incarnation != state.incarnation and not has_account
    if went_back or replaced:
        held = state.batches if went_back else 0
        missing = known.batches - held - batch.replaces
        if batch.restores is not None:
            missing = min(missing, 0) - 1  # nothing is missing now, and the account has to differ from the last one
        return Recovery(now_ms, known.incarnation, known.batches, held, missing), went_back
    if before is None or not has_account:
        return before, False
    if batch.restores is not None:
        return replace(before, missing=min(before.missing, 0) - 1), False
    more = max(0, known.batches - before.goal) if before.name == known.incarnation else 0
    return replace(before, goal=before.goal + more, missing=before.missing + more - batch.replaces), False
