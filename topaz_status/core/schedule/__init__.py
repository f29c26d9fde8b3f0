"""Which poll is worth the next token, and when: jobs, pages, sweeps, and the queue that orders them.

The package takes ``now`` and observations, and returns polls. It uses predictions and worth, but no errors or requests.
"""
