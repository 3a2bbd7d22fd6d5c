"""Trials: run, record, judge, report.

`recorder_node` writes one bag per trial (`recording` decides, `bag` writes), `recover` restores a bag that a crash cut
off, `reader` turns bags into arrays, and `latency`, `video` and `report` turn those into what a person looks at.
Only the nodes import ROS; everything else works on machines without it.
"""
