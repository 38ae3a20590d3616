"""Libraries that are measured: one module for each, which imports its library only when it is used."""
