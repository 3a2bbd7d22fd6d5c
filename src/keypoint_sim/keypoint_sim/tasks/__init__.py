"""Tasks by name; adding one is adding a file and a line here."""

from keypoint_core.registry import Registry

TASKS = Registry(
    "task",
    {
        "sushi_pick_place": "keypoint_sim.tasks.sushi_pick_place:SushiPickPlace",
        "glass_lid_lift": "keypoint_sim.tasks.glass_lid_lift:GlassLidLift",
        "clock_button": "keypoint_sim.tasks.clock_button:ClockButton",
        "clock_hand": "keypoint_sim.tasks.clock_hand:ClockHand",
        "clock_hand_counterclockwise": "keypoint_sim.tasks.clock_hand:ClockHandCounterclockwise",
        "microwave_close": "keypoint_sim.tasks.microwave_close:MicrowaveClose",
        "drawer_close": "keypoint_sim.tasks.drawer_close:DrawerClose",
    },
)
