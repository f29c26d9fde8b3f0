"""What failures mean: the circuit breaker of a service, the evidence that ends a watch, waves and certificates.

It judges answers to polls; which poll goes next is the schedule's business.
"""
