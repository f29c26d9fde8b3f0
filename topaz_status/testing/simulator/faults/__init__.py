"""Deliberate faults: the rules that choose them, broken bodies and broken connections."""
