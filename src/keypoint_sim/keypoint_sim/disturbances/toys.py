"""Distractors from a desk and a nursery. Each is a function of a generator."""

from __future__ import annotations

import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.disturbances.paints import METAL, PAPER, any_texture, color, enamel, painted, printed, wooden
from keypoint_sim.disturbances.shapes import UPRIGHT_TO_X, cuboid, moved, prism, ring, turned
from keypoint_sim.disturbances.shapes import ball as ball_mesh
from keypoint_sim.disturbances.solid import Mesh, Skin, Solid, block, lump, post
from keypoint_sim.textures import Texture


def _solid(meshes: list[Mesh], contacts: tuple[str, ...], mass: float) -> Solid:
    vertices = np.vstack([mesh.vertices for mesh in meshes])
    radius, height = float(np.hypot(*vertices[:, :2].T).max()), float(vertices[:, 2].max())
    return Solid(tuple(meshes), contacts, radius, height, mass)


def box(rng: np.random.Generator) -> Solid:
    """A carton."""
    size = (float(rng.uniform(0.04, 0.08)), float(rng.uniform(0.05, 0.11)), float(rng.uniform(0.04, 0.13)))
    skin = printed(rng, "cover") if rng.random() < 0.6 else any_texture(rng)
    return _solid([cuboid(size, skin)], (block(size),), 0.2)


def book(rng: np.random.Generator) -> Solid:
    """One book that lies, or two."""
    meshes, contacts, bottom = [], [], 0.0
    for _ in range(int(rng.integers(1, 3))):
        x, y, z = float(rng.uniform(0.10, 0.13)), float(rng.uniform(0.075, 0.095)), float(rng.uniform(0.014, 0.03))
        cover = printed(rng, "cover")
        pages = Skin(Texture("brushed", 5, ((0.80, 0.77, 0.69), (0.96, 0.94, 0.88))), specular=0.05)
        board = (x, y, 0.002)
        meshes += [
            cuboid(board, cover, (0, 0, bottom)),
            cuboid((x - 0.004, y - 0.004, z - 0.004), pages, (0.0, -0.002, bottom + 0.002)),
            cuboid(board, cover, (0, 0, bottom + z - 0.002)),
            cuboid((x, 0.002, z - 0.004), cover, (0, y / 2 - 0.001, bottom + 0.002)),
        ]
        contacts.append(block((x, y, z), (0.0, 0.0, bottom)))
        bottom += z
    return _solid(meshes, tuple(contacts), 0.35)


def ball(rng: np.random.Generator) -> Solid:
    """A ball that lies still, for it is a little flat below."""
    radius = float(rng.uniform(0.025, 0.042))
    skin = printed(rng, "panels") if rng.random() < 0.7 else any_texture(rng)
    contacts = (lump(radius), *post(0.3 * radius, 0.6 * radius))  # its foot keeps it from rolling away
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(0.9), -np.sin(0.9)], [0.0, np.sin(0.9), np.cos(0.9)]])
    mesh = moved(moved(ball_mesh(radius, skin), (0, 0, -radius)), (0, 0, radius), tilt)
    return _solid([mesh], contacts, 0.08)


def die(rng: np.random.Generator) -> Solid:
    """A large die."""
    side = float(rng.uniform(0.03, 0.05))
    return _solid([cuboid((side,) * 3, painted(rng, "pips"))], (block((side,) * 3),), 0.08)


def blocks(rng: np.random.Generator) -> Solid:
    """Two or three wooden blocks on top of each other, the topmost perhaps a roof."""
    meshes, contacts, bottom, side = [], [], 0.0, float(rng.uniform(0.04, 0.055))
    for _ in range(int(rng.integers(1, 3))):
        size = (side, side * float(rng.uniform(0.9, 1.3)), side * float(rng.uniform(0.5, 0.9)))
        meshes.append(cuboid(size, enamel(rng) if rng.random() < 0.6 else wooden(rng), (0, 0, bottom)))
        contacts.append(block(size, (0.0, 0.0, bottom)))
        bottom += size[2]
    if rng.random() < 0.7:
        gable = np.array([[0.0, -0.55], [0.0, 0.55], [-0.62, 0.0]]) * side  # laid down, -x comes up
        roof = prism(gable, -side / 2, side / 2, enamel(rng))
        meshes.append(moved(roof, (0.0, 0.0, bottom), UPRIGHT_TO_X))
    return _solid(meshes, tuple(contacts), 0.15)


def car(rng: np.random.Generator) -> Solid:
    """A toy car."""
    length, width = float(rng.uniform(0.075, 0.10)), float(rng.uniform(0.038, 0.046))
    body, cabin = (length, width, 0.020), (0.48 * length, 0.86 * width, 0.018)
    paint, glass = enamel(rng), Skin(color=(0.16, 0.20, 0.26), specular=0.8, shininess=0.8)
    meshes = [
        cuboid(body, paint, (0, 0, 0.009)),
        cuboid(cabin, glass, (-0.05 * length, 0, 0.029)),
        cuboid((0.46 * length, 0.88 * width, 0.004), paint, (-0.05 * length, 0, 0.046)),
        cuboid((0.003, 0.7 * width, 0.006), Skin(color=(0.95, 0.93, 0.75)), (length / 2, 0, 0.016)),
    ]
    tyre, spin = Skin(color=(0.10, 0.10, 0.11)), np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    for x in (-0.3 * length, 0.3 * length):
        for y in (-width / 2, width / 2):
            for profile, skin in (
                ([(0.011, -0.005), (0.011, 0.005)], tyre),
                ([(0.006, -0.006), (0.006, 0.006)], METAL),
            ):
                wheel = turned([(0.0, profile[0][1]), *profile, (0.0, profile[1][1])], skin, 16)
                meshes.append(moved(wheel, (x, y, 0.011), spin))
    return _solid(meshes, (block((length, width, 0.047)),), 0.12)


def tower(rng: np.random.Generator) -> Solid:
    """Coloured rings on a peg."""
    meshes, height, radius = [], 0.006, float(rng.uniform(0.028, 0.036))
    wide = radius + 0.008
    meshes.append(turned([(0, 0), (wide, 0), (wide, 0.006), (0, 0.006)], wooden(rng)))
    for _ in range(int(rng.integers(3, 6))):
        thickness = float(rng.uniform(0.006, 0.008))
        meshes.append(ring(radius - thickness, thickness, height + thickness, enamel(rng)))
        height, radius = height + 2 * thickness, 0.84 * radius
    meshes.append(turned([(0.005, 0.006), (0.005, height + 0.006), (0.0, height + 0.010)], wooden(rng)))
    return _solid(meshes, post(wide, height / 2) + post(0.6 * wide, height / 2, height / 2), 0.2)


def star(rng: np.random.Generator) -> Solid:
    """A thick star or polygon that lies."""
    points, reach = int(rng.integers(3, 7)), float(rng.uniform(0.035, 0.05))
    depth = rng.choice([1.0, 0.55])
    angles = np.pi * np.arange(2 * points) / points
    radii = reach * np.where(np.arange(2 * points) % 2 == 0, 1.0, depth)
    outline: Float64 = np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
    height = float(rng.uniform(0.015, 0.035))
    skin = enamel(rng) if rng.random() < 0.5 else any_texture(rng)
    return _solid([prism(outline, 0.0, height, skin)], post(0.8 * reach, height), 0.1)


def tape(rng: np.random.Generator) -> Solid:
    """A roll of tape that lies."""
    outer, width = float(rng.uniform(0.035, 0.05)), float(rng.uniform(0.018, 0.03))
    inner = 0.66 * outer
    roll = turned([(inner, 0.0), (outer, 0.0), (outer, width), (inner, width)], enamel(rng))
    core = turned([(inner, width), (inner, 0.0)], Skin(color=(0.72, 0.60, 0.44)))
    return _solid([roll, core], post(outer, width), 0.15)


def screwdriver(rng: np.random.Generator) -> Solid:
    """A screwdriver or a pen that lies."""
    length, radius = float(rng.uniform(0.06, 0.09)), float(rng.uniform(0.009, 0.014))
    grip = [(0.0, 0.0), (0.8 * radius, 0.0), (radius, 0.006), (radius, 0.7 * length), (0.7 * radius, 0.85 * length)]
    grip += [(0.9 * radius, length), (0.0, length)]
    shaft = [(0.0025, length), (0.0025, 2 * length - 0.01), (0.0012, 2 * length), (0.0, 2 * length)]
    meshes = [turned(grip, painted(rng, "stripes"), 12), turned(shaft, METAL, 10)]
    laid = [moved(mesh, (-length, 0.0, radius), UPRIGHT_TO_X) for mesh in meshes]
    return _solid(laid, (block((2 * length, 1.6 * radius, 2 * radius)),), 0.1)


def notepad(rng: np.random.Generator) -> Solid:
    """A pad of paper, a tablet or a sheet of card."""
    size = (float(rng.uniform(0.07, 0.12)), float(rng.uniform(0.06, 0.10)), float(rng.uniform(0.004, 0.014)))
    top = printed(rng, "cover") if rng.random() < 0.5 else any_texture(rng)
    sheet = cuboid((size[0] - 0.004, size[1] - 0.004, 0.001), top, (0, 0, size[2]))
    body = Skin(color=color(rng, PAPER) if rng.random() < 0.5 else color(rng))
    return _solid([cuboid(size, body), sheet], (block(size),), 0.15)
