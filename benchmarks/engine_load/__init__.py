"""An engine's gain from many requests, and how full a run keeps it."""
