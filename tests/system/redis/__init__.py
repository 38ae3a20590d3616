"""Redis as hosts offer it: with logins, TLS and sentinels."""
