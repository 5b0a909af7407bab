"""What trained peers know, how they differ and how firmly they stand: pure functions of logits, features and networks.

Notation and units are those of `metrics`: logits (K, N, C) of K peers on N images with C classes, labels (N,), values
in nats or fractions. A run's folder holds posteriors; `posteriors.logits_of` turns them into logits. `plots` draws
what is measured here.
"""
