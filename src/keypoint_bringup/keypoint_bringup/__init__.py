"""The graph as data (`graph`), its start by ros2 launch (`launching`) or without ros2cli (`system`, `up`)."""
