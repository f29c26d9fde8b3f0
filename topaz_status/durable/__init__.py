"""Durable watches as callers use them: handles whose rows are in a store, and their resumption."""
