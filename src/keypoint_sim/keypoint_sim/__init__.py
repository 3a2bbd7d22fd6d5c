"""The simulated world: arm, RGB-D camera, tasks, experts and disturbances. Only `sim_node` imports ROS."""
