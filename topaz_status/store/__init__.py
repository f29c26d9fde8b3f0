"""Where durable watches are kept: what a store does (:mod:`.base`), one in memory, one in a file."""
