"""What `init` finds in a user's project, and the changes that it proposes."""
