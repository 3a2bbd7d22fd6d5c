"""Take a nigiri from among other things and lay it on a plate."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from keypoint_core.errors import InputError
from keypoint_core.types import Float64
from keypoint_sim.errors import SimulationError
from keypoint_sim.objects import nigiri, plate, sushi_clutter
from keypoint_sim.scene import compose
from keypoint_sim.tasks import sushi_moves as moves
from keypoint_sim.tasks.base import Outcome, Placement, Task, Tool, Waypoint, move

# Poses (x [m], y [m], yaw [rad]); at yaw 0 the nigiri lies along x. Both arms reach all of them for the nigiri and the
# plate: 20 x 25 cm and +-45 degrees for the nigiri. Nearer to the HEBI arm its wrist would have to fold further than it
# can. Dish and leaf need not be reached.
SUSHI = Placement("nigiri", nigiri.JOINT, low=(0.37, -0.19, -np.pi / 4), high=(0.57, 0.06, np.pi / 4))
PLATE = Placement("plate", plate.JOINT, low=(0.38, 0.10, -np.pi / 4), high=(0.52, 0.22, np.pi / 4))
DISH = Placement("soy dish", sushi_clutter.DISH_JOINT, low=(0.30, -0.26, -np.pi), high=(0.56, 0.26, np.pi))
LEAF = Placement("maki on a leaf", sushi_clutter.LEAF_JOINT, low=(0.30, -0.26, -np.pi), high=(0.56, 0.26, np.pi))

# From the middle of each object to its edge, where that needs to be kept apart [m]: around the nigiri's middle there is
# room for its length and for open fingers.
REACHES = (0.065, plate.OUTSIDE, sushi_clutter.DISH_RADIUS, sushi_clutter.LEAF_REACH)
GAP = 0.015  # between two other objects [m]
NEAR = 0.22  # dish and leaf stand this near to the nigiri [m]
ATTEMPTS = 2000

# On the plate: the nigiri's middle within a circle of 6 cm across, so that its whole length lies within 6 cm of the
# plate's middle, on the flat inside.
INSIDE = plate.RADIUS / 2
LAID = 0.025  # so near to the plate's middle the expert lets go [m]; what it has let go it leaves anywhere inside
STANDING = 0.004  # height over the plate's floor that counts as lying on it [m]
STILL, STILL_TURN = 0.02, 0.3  # [m/s], [rad/s]
AWAY = 0.05  # from the nigiri to the tool's tip, once it is released [m]
HOLD_STILL = 1.0  # [s]
UPRIGHT, TIPPED = np.cos(np.deg2rad(20)), np.cos(np.deg2rad(60))
PLATE_SHIFT = 0.05  # [m]
OFF_TABLE = -0.02  # height of a nigiri that has fallen off [m]
ON_TABLE = 0.005  # height under which a nigiri lies on the table [m]
REACHABLE = ((0.28, -0.30), (0.66, 0.30))  # low and high x and y of a nigiri that can be picked up again [m]
ARM_CONTACT = 1  # contype of every arm's geoms


class SushiPickPlace(Task):
    """The task; judging needs the plate's first position and since when the nigiri has lain still."""

    name = "sushi_pick_place"
    time_limit = 20.0
    placements = (SUSHI, PLATE, DISH, LEAF)
    regions: Mapping[str, tuple[str, ...]] = {
        "sushi": (nigiri.BODY,),
        "plate": (plate.BODY,),
        "clutter": (sushi_clutter.DISH, sushi_clutter.LEAF),
    }
    failures = ("piece dropped off the table", "piece out of reach", "piece tipped over", "plate pushed away")

    def __init__(self) -> None:
        self._start = [0.0, 0.0]
        self._still_since: float | None = None

    def mjcf(self) -> str:
        """MJCF document of nigiri, plate and what else stands there."""
        parts = compose([nigiri.mjcf(), plate.mjcf(), sushi_clutter.mjcf()])
        return ET.tostring(parts, encoding="unicode")

    def bind(self, model: mujoco.MjModel) -> None:
        """Draws the objects' textures and remembers the model's addresses."""
        for part in (nigiri, plate, sushi_clutter):
            part.paint(model)
        self._piece, self._plate = int(model.body(nigiri.BODY).id), int(model.body(plate.BODY).id)
        self._speed = int(model.joint(nigiri.JOINT).dofadr[0])
        self._tcp = int(model.site("tcp").id)
        self._piece_geoms = model.geom_bodyid == self._piece
        self._arm_geoms = (model.geom_contype & ARM_CONTACT).astype(bool)

    def forget(self) -> None:
        """Forgets since when the nigiri has lain still."""
        self._still_since = None

    def keep(self, data: mujoco.MjData) -> None:
        """Takes the plate's present position as the one to keep."""
        self._start = data.xpos[self._plate, :2].tolist()

    def target(self, data: mujoco.MjData) -> Float64:
        """The middle of the nigiri, at the height where it is gripped."""
        return moves.grip_point(*self._pose(data))

    def keep_out(self, poses: Float64) -> Float64:
        """Room for the tool around nigiri and plate; dish and leaf only need their own."""
        radii = (0.12, plate.OUTSIDE + 0.05, sushi_clutter.DISH_RADIUS + GAP, sushi_clutter.LEAF_REACH + GAP)
        return np.column_stack([np.asarray(poses)[:, :2], radii])

    def nominal(self) -> Float64:
        """Poses [K, 3] of the reference view: nigiri and plate in the middle of their ranges."""
        return np.array([[0.47, -0.065, 0.0], [0.45, 0.16, 0.0], [0.36, 0.03, 0.0], [0.40, -0.20, 0.6]])

    def sample(self, rng: np.random.Generator) -> Float64:
        """Draws poses [K, 3] one after the other, each apart from those before.

        Raises:
            SimulationError: no free place was found, which only other ranges can bring about.
        """
        poses: list[Float64] = []
        for placement in self.placements:
            draws = (placement.sample(rng) for _ in range(ATTEMPTS))
            found = next((pose for pose in draws if _fits(poses, pose)), None)
            if found is None:
                raise SimulationError(f"no free place for the {placement.name} in {ATTEMPTS} draws; widen its range")
            poses.append(found)
        return np.stack(poses)

    def check(self, poses: Float64) -> Float64:
        """Poses [K, 3] as given.

        Raises:
            InputError: as `Task.check`, or two objects are too close together; the message says how far they must be.
        """
        poses = super().check(poses)
        for k in range(len(poses)):
            for i, (distance, least) in enumerate(_distances(poses[:k], poses[k])):
                if distance < least:
                    raise InputError(
                        f"{self.placements[i].name} and {self.placements[k].name} are {distance:.3f} m apart, middle to "
                        f"middle; they need {least:.3f} m"
                    )
        return poses

    def place(self, data: mujoco.MjData, poses: Float64) -> None:
        """Stands nigiri and plate, which are free, and dish and leaf, which slide."""
        free = len(self.placements) - 2
        for placement, (x, y, yaw) in zip(self.placements[:free], poses[:free], strict=True):
            move(data.joint(placement.joint).qpos, (x, y), yaw)
        for placement, pose in zip(self.placements[free:], poses[free:], strict=True):
            sushi_clutter.put(data, placement.joint, pose)

    def judge(self, data: mujoco.MjData) -> tuple[Outcome, str]:
        """Success: the nigiri has lain on the plate for long enough, still and let go."""
        position, rotation = self._pose(data)
        if reason := self._failure(data, position, rotation):
            return Outcome.FAILURE, reason
        if not self._rests(data, position, rotation):
            self._still_since = None
            return Outcome.RUNNING, ""
        if self._still_since is None:
            self._still_since = data.time
        return (Outcome.SUCCESS if data.time - self._still_since >= HOLD_STILL else Outcome.RUNNING), ""

    def waypoint(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Open over the nigiri, down, close, up, over the plate, down, open, up.

        Each step follows from where nigiri, plate and tool are and how wide the gap is: what slips is taken up again.
        """
        (position, rotation), held = self._pose(data), self._held(data, tool)
        if held:
            position, rotation = self._carried(data, tool)
        point, place = moves.grip_point(position, rotation), self._place(data)
        if _lies_on(place, position, rotation, LAID if held else INSIDE):
            return moves.leave(tool, point)
        if held:
            return moves.carry(tool, position, place)
        goal = moves.grip_for(rotation, tool.gripper)
        around = moves.between(tool, (tool.position, tool.rotation), point, moves.CLOSES)
        if around and tool.opening > nigiri.WIDTH:
            return moves.close(tool, point, goal)
        return moves.approach(tool, point, goal)

    def _pose(self, data: mujoco.MjData) -> tuple[Float64, Float64]:
        """Of the nigiri: position [3] of the middle of its bottom, rotation [3, 3]."""
        return data.xpos[self._piece], data.xmat[self._piece].reshape(3, 3)

    def _place(self, data: mujoco.MjData) -> Float64:
        """The middle [3] of the plate's inside."""
        return np.asarray(data.xpos[self._plate] + (0.0, 0.0, plate.FLOOR))

    def _tool(self, data: mujoco.MjData) -> tuple[Float64, Float64]:
        """Where the TCP really is, also while the expert plans ahead."""
        return data.site_xpos[self._tcp], data.site_xmat[self._tcp].reshape(3, 3)

    def _held(self, data: mujoco.MjData, tool: Tool) -> bool:
        """Whether the nigiri is gripped. In a plan it does not move with the tool, so where the tool really is counts."""
        point = moves.grip_point(*self._pose(data))
        tight = moves.THIN <= tool.opening <= nigiri.WIDTH + moves.TOLERANCE
        return tight and moves.between(tool, self._tool(data), point, moves.HOLDS)

    def _carried(self, data: mujoco.MjData, tool: Tool) -> tuple[Float64, Float64]:
        """Pose of the held nigiri once the tool is where the plan has it."""
        (position, rotation), (origin, frame) = self._pose(data), self._tool(data)
        change = tool.rotation @ frame.T
        return tool.position + change @ (position - origin), change @ rotation

    def _failure(self, data: mujoco.MjData, position: Float64, rotation: Float64) -> str:
        """Why the trial is lost; empty if it is not."""
        x, y, z = position.tolist()  # plain numbers: this runs every tick, and small arrays are slow
        if z < OFF_TABLE:
            return "piece dropped off the table"
        if rotation[2, 2] < TIPPED:
            return "piece tipped over"
        (near, right), (far, left) = REACHABLE
        if z < ON_TABLE and not (near <= x <= far and right <= y <= left):
            return "piece out of reach"
        pushed = math.dist(data.xpos[self._plate, :2].tolist(), self._start)
        return "plate pushed away" if pushed > PLATE_SHIFT else ""

    def _rests(self, data: mujoco.MjData, position: Float64, rotation: Float64) -> bool:
        """Whether the nigiri lies still on the plate, with the tool away and nothing of the arm on it."""
        if not _lies_on(self._place(data), position, rotation, INSIDE):
            return False
        speed = data.qvel[self._speed : self._speed + 6]
        if np.linalg.norm(speed[:3]) > STILL or np.linalg.norm(speed[3:]) > STILL_TURN:
            return False
        if np.linalg.norm(self._tool(data)[0] - moves.grip_point(position, rotation)) < AWAY:
            return False
        pairs = data.contact.geom
        return not self._arm_geoms[pairs[self._piece_geoms[pairs].any(axis=1)]].any()


def _lies_on(place: Float64, position: Float64, rotation: Float64, radius: float) -> bool:
    """Whether a nigiri lies upright on the plate whose middle is at `place`, no further from it than this."""
    x, y, z = (position - place).tolist()
    return bool(math.hypot(x, y) <= radius and z <= STANDING and rotation[2, 2] >= UPRIGHT)


def _distances(others: Sequence[Float64] | Float64, pose: Float64) -> list[tuple[float, float]]:
    """Distance from the object that is placed next to each one before it, and the least that it may be [m]."""
    found = []
    for i, other in enumerate(others):
        least = REACHES[i] + REACHES[len(others)] + (GAP if i else 0.0)
        found.append((float(np.hypot(*(pose[:2] - other[:2]))), least))
    return found


def _fits(others: Sequence[Float64], pose: Float64) -> bool:
    """Whether the object that is placed next is apart from all before it; dish and leaf also near the nigiri."""
    distances = _distances(others, pose)
    clutter = len(others) >= 2
    return all(distance >= least for distance, least in distances) and not (clutter and distances[0][0] > NEAR)
