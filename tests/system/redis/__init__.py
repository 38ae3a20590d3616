"""Redis as hosts offer it: behind logins, TLS and sentinels."""
