"""The dashboard's file."""
