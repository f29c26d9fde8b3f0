"""The pure core: it takes ``now`` and returns a decision or an absolute time; no clock, no dice, no I/O."""
