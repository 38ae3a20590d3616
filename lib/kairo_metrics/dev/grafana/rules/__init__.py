"""The rules of Prometheus: alerts, and the recording rules that they use."""
