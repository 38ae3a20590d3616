"""The checks of a deployment, from inside and from outside, with advice for what they find."""
