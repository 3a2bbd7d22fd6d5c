"""Nodes of perception: locate keypoints once, track them in every frame, show them."""
