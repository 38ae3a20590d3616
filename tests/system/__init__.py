"""Programs, functions and pages as users run them: with a real Prometheus, a real browser and real HTTP."""
