"""How batches are numbered, kept and sent."""
