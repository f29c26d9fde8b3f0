"""Virtual time: an event loop whose clock jumps, and connections in memory for it."""
