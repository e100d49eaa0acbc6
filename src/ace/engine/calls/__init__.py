"""Model calls of a run: journal, completion cache, budget, tiers."""
