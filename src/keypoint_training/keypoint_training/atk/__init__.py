"""Task-driven keypoint selection (ATK, CoRL 2025): which few of many points on the reference view a task needs."""
