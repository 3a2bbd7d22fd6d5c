"""Students that look at pictures: what keypoints are compared with. Same teacher, same way of distilling."""
