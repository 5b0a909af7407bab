"""Images to learn from: the bundled slice, CIFAR-100, and the batches that training reads."""
