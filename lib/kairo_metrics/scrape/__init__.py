"""Read street, second part: the state in Redis as one page: read, decode, merge, resolve."""
