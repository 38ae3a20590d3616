"""The files that deploy the functions and those that scrape them, each checked with the tools of its platform."""
