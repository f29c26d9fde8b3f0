"""A shared server in memory: what processes of one account share, in one process and in virtual time."""
