"""The only folder that sleeps, draws random numbers and reads clocks: timers, deadlines, cancel scopes, backoff."""
