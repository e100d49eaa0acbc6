"""Plans: what a run would take, from a small pilot run, a measured engine and a simulation of the scheduler."""
