"""What is measured: the instruments, the listener that records them, and a Grafana dashboard of their names."""
