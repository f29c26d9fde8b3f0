"""Stores of durable watches: the protocol of a store (:mod:`.base`), a store in memory and one in a file."""
