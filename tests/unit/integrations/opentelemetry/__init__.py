"""What OpenTelemetry's SDK has collected, and what it becomes."""
