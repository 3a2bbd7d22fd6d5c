"""Perception to action on image keypoints, without ROS.

`types` and `protocols` hold the vocabulary; every back end of a protocol is found by name through its `Registry`.
`pipeline` runs the whole way from frame to applied command in one process, out of the very objects the ROS nodes run.
"""
