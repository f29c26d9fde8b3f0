"""How many requests may go: the token bucket, the adaptive limit of each kind, and how much of the rate is in use.

The package stands alone: it imports the models, the values of a coordinator, and no other part of the core.
"""
