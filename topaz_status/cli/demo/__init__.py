"""The demo: a fleet of simulated jobs, the picture of it, and the report."""
