"""The demo: simulated jobs, the picture of their progress, and the report."""
