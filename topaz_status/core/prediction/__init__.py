"""When a job should end: sources of predictions, life tables that learn how far each can be trusted, and worth.

The package handles one job at a time; it has no list, budget or request.
"""
