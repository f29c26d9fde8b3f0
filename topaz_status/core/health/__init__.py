"""What failures mean: the circuit breaker of a service, the evidence that ends a watch, waves and certificates.

These modules judge the answers to polls. The schedule decides which poll goes next.
"""
