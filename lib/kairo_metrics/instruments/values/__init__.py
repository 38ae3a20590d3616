"""The values under `prometheus_client`'s instruments: they record deltas of touched series.

A value keeps its local total, so that the program's own registry reads as before, and adds each change to its series
in the recorder.
"""
