"""Polling, from a watch to its end: the feed sends polls, pollers take the results, the registry holds the pollers.

Decisions come from :mod:`topaz_status.core`; each is acted on in one synchronous step.
"""
