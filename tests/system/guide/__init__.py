"""The operator's guide, followed as it stands."""
