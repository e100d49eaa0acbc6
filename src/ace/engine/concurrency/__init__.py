"""Coroutines, threads and queues that the loop runs on."""
