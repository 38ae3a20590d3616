"""Write street, last part: from the recorder's deltas to batches that the store has applied exactly once."""
