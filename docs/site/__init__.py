"""The documentation site: its pages from the repository, and the tables that are made from the code."""
