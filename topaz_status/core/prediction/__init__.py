"""When a job should end: sources of predictions, life tables that learn how far each can be trusted, and worth.

It knows one job at a time, and no list, budget or request.
"""
