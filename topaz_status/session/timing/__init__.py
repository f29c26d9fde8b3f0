"""The only folder that sleeps, rolls dice and reads clocks: timers, deadlines, cancel scopes and backoff delays."""
