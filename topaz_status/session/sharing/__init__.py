"""Many processes, one account: what a client does beside its own polling if it has a coordinator.

One member of the account leads and polls for all. The others follow: they report to the leader what they watch, and
hear from it what became of that. Their own polling is the same as without a coordinator. The classes here extend it by
subclasses, so a client without a coordinator loads none of this and runs none of it.
"""
