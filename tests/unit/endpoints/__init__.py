"""The functions that answer a scraper or a cron, and who may call them."""
