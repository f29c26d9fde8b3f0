"""The simulator of the three services: accounts, jobs and their lives, lists, rate limits and the HTTP front."""
