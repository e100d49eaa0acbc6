"""The loop: batches, samples, attempts, evaluations."""
