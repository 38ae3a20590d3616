"""The schemas of the Prometheus Operator's objects, and the script that writes them."""
