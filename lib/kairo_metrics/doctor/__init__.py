"""What is wrong with a deployment, seen from inside and from outside, and what to do about it."""
