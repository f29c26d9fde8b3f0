"""The pure core: it takes ``now`` and returns a decision or an absolute time, without clock, randomness or I/O."""
