"""Which poll is worth the next token, and when: jobs, pages, sweeps, and the queue that orders them.

It takes ``now`` and observations, and returns polls. It knows predictions and worth, and neither errors nor requests.
"""
