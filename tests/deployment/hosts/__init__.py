"""The files that deploy to other hosts, each checked with tools that need no container engine."""
