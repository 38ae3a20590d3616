"""The files that deploy to other hosts, each with the tools that are at hand without its engine."""
