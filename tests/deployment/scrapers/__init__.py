"""The files that install a scraper, checked with the scrapers' own tools."""
