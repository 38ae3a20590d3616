"""The programs, functions and pages as users run them: with a real Prometheus, a real browser and over real HTTP."""
