"""Progress of a run while it goes on: bars, plain lines, what was learned."""
