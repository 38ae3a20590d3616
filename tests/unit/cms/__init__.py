"""The content API, room by room as in lib/kairo_cms."""
