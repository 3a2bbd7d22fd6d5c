"""Trains the dense descriptors of keypoint_core/features on pictures of the simulated world."""
