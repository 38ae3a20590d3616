"""For tests of code that uses this package: a store in memory."""
