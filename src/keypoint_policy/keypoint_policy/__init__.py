"""The policy node: keypoints and robot state in, action chunks out."""
