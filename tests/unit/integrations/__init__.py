"""What is recorded about other libraries."""
