"""What deploys the functions and what scrapes them, each with its platform's own tools."""
