"""The one place where ROS and keypoint_core meet."""
