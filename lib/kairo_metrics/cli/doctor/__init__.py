"""The checks of a deployment: what is wrong, seen from inside and from outside, and what to do about it."""
