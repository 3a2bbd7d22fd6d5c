"""Figures of the ATK paper (CoRL 2025), to stand beside one's own.

Success rates are means over three seeds in simulation (Tables 2 and 4), or of 20 trials on the real robot (Table 1), in
the order of CONDITIONS. Table 3: the correspondence between simulation and reality.
"""

from __future__ import annotations

CONDITIONS = {"rp": "RP", "rb": "RB", "ro": "+RO", "light": "+Light"}
TASKS = {
    "sushi_pick_place": "Sushi",
    "glass_lid_lift": "Glass",
    "clock_button": "Clock button",
    "clock_hand": "Clock turning",
}
TRIALS, SEEDS = 100, 3  # of every cell of Tables 2 and 4

Rates = tuple[float, float, float, float]

REAL: dict[str, dict[str, Rates]] = {  # Table 1
    "sushi_pick_place": {
        "rgb": (0.30, 0.00, 0.00, 0.00),
        "depth": (0.25, 0.20, 0.00, 0.00),
        "point_cloud": (0.10, 0.10, 0.00, 0.00),
        "atk": (0.85, 0.80, 0.55, 0.45),
    },
    "glass_lid_lift": {
        "rgb": (0.10, 0.00, 0.00, 0.00),
        "depth": (0.05, 0.00, 0.00, 0.00),
        "point_cloud": (0.00, 0.00, 0.00, 0.00),
        "atk": (0.75, 0.65, 0.60, 0.60),
    },
    "clock_button": {
        "rgb": (0.25, 0.00, 0.00, 0.00),
        "depth": (0.10, 0.10, 0.00, 0.00),
        "point_cloud": (0.05, 0.05, 0.00, 0.00),
        "atk": (0.90, 0.90, 0.80, 0.75),
    },
    "clock_hand": {
        "rgb": (0.05, 0.00, 0.00, 0.00),
        "depth": (0.00, 0.00, 0.00, 0.00),
        "point_cloud": (0.00, 0.00, 0.00, 0.00),
        "atk": (0.50, 0.50, 0.40, 0.35),
    },
}

SIMULATION: dict[str, dict[str, Rates]] = {  # Tables 2 (modalities) and 4 (selections)
    "sushi_pick_place": {
        "rgb": (0.453, 0.076, 0.027, 0.010),
        "depth": (0.255, 0.255, 0.020, 0.010),
        "point_cloud": (0.277, 0.277, 0.020, 0.000),
        "full_set": (0.122, 0.053, 0.010, 0.013),
        "random_select": (0.337, 0.246, 0.233, 0.226),
        "heuristic": (0.032, 0.020, 0.013, 0.006),
        "atk": (0.893, 0.893, 0.893, 0.893),
    },
    "glass_lid_lift": {
        "rgb": (0.253, 0.109, 0.020, 0.000),
        "depth": (0.110, 0.110, 0.000, 0.000),
        "point_cloud": (0.033, 0.033, 0.000, 0.000),
        "full_set": (0.311, 0.069, 0.013, 0.013),
        "random_select": (0.120, 0.031, 0.116, 0.006),
        "heuristic": (0.133, 0.020, 0.010, 0.010),
        "atk": (0.933, 0.933, 0.933, 0.933),
    },
    "clock_button": {
        "rgb": (0.456, 0.046, 0.013, 0.000),
        "depth": (0.290, 0.290, 0.000, 0.000),
        "point_cloud": (0.107, 0.107, 0.010, 0.000),
        "full_set": (0.474, 0.126, 0.026, 0.020),
        "random_select": (0.107, 0.080, 0.036, 0.026),
        "heuristic": (0.913, 0.913, 0.913, 0.913),
        "atk": (0.970, 0.970, 0.970, 0.970),
    },
    "clock_hand": {
        "rgb": (0.367, 0.093, 0.013, 0.000),
        "depth": (0.256, 0.256, 0.000, 0.020),
        "point_cloud": (0.077, 0.077, 0.010, 0.010),
        "full_set": (0.253, 0.083, 0.010, 0.010),
        "random_select": (0.253, 0.076, 0.000, 0.000),
        "heuristic": (0.065, 0.146, 0.077, 0.020),
        "atk": (0.903, 0.903, 0.903, 0.903),
    },
}
THEIR_NAMES = {"heuristic": "GPTSelect"}  # what stands in the place of a method of ours

CONFIDENCE = {"sushi_pick_place": 0.78, "glass_lid_lift": 0.76, "clock_button": 0.80, "clock_hand": 0.82}  # Table 3
DISTANCE_PX = {"sushi_pick_place": 3.24, "glass_lid_lift": 5.21, "clock_button": 2.79, "clock_hand": 6.75}
