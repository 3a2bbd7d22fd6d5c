"""Arm control without hardware: kinematics, chunk following, the safety gate, the control loop's state machine."""
