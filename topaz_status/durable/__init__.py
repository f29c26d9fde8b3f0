"""Durable watches as a caller meets them: handles whose rows are stored, and how they are taken up again."""
