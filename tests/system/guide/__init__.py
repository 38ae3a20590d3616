"""The operator's guide, with every block of it run or checked."""
