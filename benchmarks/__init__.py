"""What a flush and a scrape cost, as ratios against the least that Redis itself can do."""
