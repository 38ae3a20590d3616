"""Read street, second part: the state in Redis becomes one page: read, decode, merge, resolve."""
