"""Training of keypoint policies in simulation, without ROS and without rendering."""
