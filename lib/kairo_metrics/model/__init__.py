"""What writers and readers share: batches, schemas, packed lines. Values in, values out; no I/O."""
