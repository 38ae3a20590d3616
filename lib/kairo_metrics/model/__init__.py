"""The vocabulary that both streets share: batches, schemas, packed lines. Values in, values out; no I/O."""
