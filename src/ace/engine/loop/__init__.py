"""The loop: schedule, batches, samples, evaluations."""
