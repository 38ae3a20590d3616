"""Writers as real processes, a real Redis, a network that fails at random: in the end the books balance."""
