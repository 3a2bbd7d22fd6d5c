"""Where the camera is, and whether somebody moved it."""
