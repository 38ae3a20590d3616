"""Read street, third part: a page in each format that scrapers and receivers accept."""
