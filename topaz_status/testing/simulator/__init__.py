"""The simulator of the three services: accounts, jobs and their lives, lists, limits and the HTTP in front."""
