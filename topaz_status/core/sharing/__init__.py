"""Many processes, one account: who leads, what members say to each other, and how both sides know that they agree.

The package imports the wire room's decoders, the models and no other room of the core.
"""
