"""OpenTelemetry: a reader that sends what its instruments count. `reader` is first; the others are its parts."""
