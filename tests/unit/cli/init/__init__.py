"""What `init` finds, and the changes that it proposes."""
