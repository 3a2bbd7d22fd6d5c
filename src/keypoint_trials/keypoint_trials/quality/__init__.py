"""How well trackers and correspondences do on simulated scenes whose truth is known."""
