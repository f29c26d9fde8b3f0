"""From a watch to its end: the feed sends polls, pollers hear the results, the registry knows who is watched.

Decisions come from :mod:`topaz_status.core`; each is acted on in one synchronous step.
"""
