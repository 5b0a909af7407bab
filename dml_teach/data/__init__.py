"""Images to learn from: the bundled slice, CIFAR-10 and CIFAR-100, and the batches that training reads."""
