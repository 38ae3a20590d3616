"""Benchmarks of flushes, scrapes and pushes, as ratios to a floor: the least work that does the same."""
