"""Trackers of a run, which observe its events: MLflow, Weights & Biases, OpenTelemetry."""
