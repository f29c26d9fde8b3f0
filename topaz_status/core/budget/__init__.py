"""How many requests may go: the token bucket, the adaptive limit of each kind, and how much of the rate is in use.

It stands alone: it imports the models and no other room.
"""
