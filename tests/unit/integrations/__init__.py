"""What is recorded of other libraries."""
