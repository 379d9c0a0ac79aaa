"""From topics to frames: subscriptions, synchronization, decoding, transforms, mounting."""
