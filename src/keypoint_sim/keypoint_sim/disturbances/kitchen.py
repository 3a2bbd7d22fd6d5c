"""Distractors from a kitchen: what is turned on a wheel or a lathe. Each is a function of a generator."""

from __future__ import annotations

import numpy as np

from keypoint_sim.disturbances.paints import METAL, PAPER, any_texture, color, enamel, painted, printed
from keypoint_sim.disturbances.shapes import Profile, ball, handle, ring, turned
from keypoint_sim.disturbances.solid import Mesh, Skin, Solid, lump, post
from keypoint_sim.textures import Texture


def _standing(meshes: tuple[Mesh, ...], radius: float, height: float, mass: float, foot: float = 0.0) -> Solid:
    """A thing that touches as an upright cylinder; one whose foot is narrower as a second one on top of that."""
    narrow = post(foot, height / 3) + post(radius, 2 * height / 3, height / 3)
    contacts = narrow if foot else post(radius, height)
    return Solid(meshes, contacts, max(float(np.hypot(*m.vertices[:, :2].T).max()) for m in meshes), height, mass)


def _cup(radius: float, foot: float, height: float, wall: float) -> tuple[Profile, Profile]:
    """Outside and inside of an open vessel."""
    outside = [(0.0, 0.0), (foot, 0.0), (foot + 0.15 * (radius - foot), 0.08 * height), (radius, height)]
    inside = [(radius, height), (radius - wall, height), (foot - wall + 0.001, 2 * wall), (0.0, 2 * wall)]
    return outside, inside


def mug(rng: np.random.Generator) -> Solid:
    """A mug with a handle."""
    radius, height = rng.uniform(0.034, 0.044), rng.uniform(0.075, 0.105)
    skin = painted(rng, "glaze") if rng.random() < 0.6 else printed(rng, "label")
    inner = Skin(color=color(rng, PAPER), specular=0.4, shininess=0.5)
    outside, inside = _cup(radius, 0.94 * radius, height, 0.003)
    grip = handle(0.27 * height, 0.0048, (radius - 0.004, 0.52 * height), enamel(rng))
    return _standing((turned(outside, skin), turned(inside, inner), grip), radius, height, 0.3)


def bowl(rng: np.random.Generator) -> Solid:
    """A bowl."""
    radius, height = rng.uniform(0.05, 0.075), rng.uniform(0.035, 0.06)
    foot = 0.5 * radius
    turn = np.linspace(0.1, np.pi / 2, 8)
    wall = [(foot + (radius - foot) * float(np.sin(a)), height * (1 - float(np.cos(a)))) for a in turn]
    lip = [(r - 0.003, z) for r, z in reversed(wall)]
    inner = Skin(color=color(rng, PAPER), specular=0.4, shininess=0.5)
    meshes = (
        turned([(0.0, 0.0), (foot, 0.0), *wall], painted(rng, "glaze")),
        turned([wall[-1], *lip, (0.0, 0.004)], inner),
    )
    return _standing(meshes, radius, height, 0.25, foot)


def plate(rng: np.random.Generator) -> Solid:
    """A saucer."""
    radius = rng.uniform(0.055, 0.075)
    skin = painted(rng, "glaze")
    meshes = (
        turned([(0.0, 0.0), (0.6 * radius, 0.0), (radius, 0.012)], skin),
        turned([(radius, 0.012), (0.97 * radius, 0.014), (0.62 * radius, 0.005), (0.0, 0.005)], skin),
    )
    return _standing(meshes, radius, 0.014, 0.2)


def can(rng: np.random.Generator) -> Solid:
    """A tin with a paper label."""
    radius, height = rng.uniform(0.028, 0.042), rng.uniform(0.06, 0.12)
    label = turned([(radius, 0.006), (radius, height - 0.006)], printed(rng, "label"))
    tin = turned(
        [
            (0.0, 0.0),
            (radius, 0.0),
            (radius + 0.001, 0.002),
            (radius - 0.0008, 0.006),
            (radius - 0.0008, height - 0.006),
        ]
        + [(radius + 0.001, height - 0.002), (radius - 0.001, height), (radius - 0.003, height - 0.004)]
        + [(0.0, height - 0.004)],
        METAL,
    )
    return _standing((tin, label), radius, height, 0.35)


def bottle(rng: np.random.Generator) -> Solid:
    """A bottle with a label and a cap."""
    radius, height = rng.uniform(0.026, 0.036), rng.uniform(0.14, 0.20)
    neck, shoulder = 0.36 * radius, rng.uniform(0.55, 0.68) * height
    body = enamel(rng)
    outline = [(0.0, 0.0), (0.92 * radius, 0.0), (radius, 0.006), (radius, shoulder), (0.9 * radius, shoulder + 0.01)]
    outline += [(neck, 0.83 * height), (neck, 0.93 * height)]
    label = turned([(radius + 0.0005, 0.2 * shoulder), (radius + 0.0005, 0.85 * shoulder)], printed(rng, "label"))
    top = [(neck + 0.002, 0.92 * height), (neck + 0.002, height), (0.0, height)]
    return _standing((turned(outline, body), label, turned(top, enamel(rng))), radius, height, 0.4)


def jar(rng: np.random.Generator) -> Solid:
    """A jar with a lid."""
    radius, height = rng.uniform(0.032, 0.042), rng.uniform(0.07, 0.11)
    body = [(0.0, 0.0), (0.93 * radius, 0.0), (radius, 0.008), (radius, 0.72 * height), (0.8 * radius, 0.82 * height)]
    lid = [(0.0, 0.81 * height), (0.86 * radius, 0.81 * height), (0.86 * radius, height - 0.002)]
    lid += [(0.82 * radius, height), (0.0, height)]
    label = turned([(radius + 0.0005, 0.18 * height), (radius + 0.0005, 0.62 * height)], printed(rng, "label"))
    cover = painted(rng, "gingham") if rng.random() < 0.4 else enamel(rng)
    return _standing((turned(body, enamel(rng)), label, turned(lid, cover)), radius, height, 0.4)


def cup(rng: np.random.Generator) -> Solid:
    """A paper cup."""
    radius, height = rng.uniform(0.036, 0.043), rng.uniform(0.08, 0.11)
    foot = 0.72 * radius
    outside, inside = _cup(radius, foot, height, 0.0015)
    skin = any_texture(rng) if rng.random() < 0.5 else printed(rng, "label")
    inner = Skin(color=(0.95, 0.94, 0.91))
    rim = ring(radius - 0.0005, 0.0018, height, inner)
    return _standing((turned(outside, skin), turned(inside, inner), rim), radius, height, 0.15, foot)


def fruit(rng: np.random.Generator) -> Solid:
    """An apple, an orange, a lemon."""
    radius, flat = rng.uniform(0.03, 0.04), rng.uniform(0.85, 0.98)
    ripe = ((0.78, 0.16, 0.12), (0.95, 0.55, 0.10), (0.93, 0.80, 0.20), (0.55, 0.68, 0.22))
    skin = Skin(Texture("peel", int(rng.integers(2**31)), (color(rng, ripe), color(rng, ripe))), specular=0.35)
    top = 2 * radius * flat
    stem = turned([(0.002, top - 0.003), (0.0014, top + 0.010), (0.0, top + 0.010)], Skin(color=(0.30, 0.20, 0.10)))
    foot = post(0.35 * radius, 0.6 * radius)  # so that it does not roll
    return Solid((ball(radius, skin, flat), stem), (lump(radius, flat), *foot), radius, top + 0.010, 0.18)


def pot(rng: np.random.Generator) -> Solid:
    """A small plant in a pot."""
    radius, height = rng.uniform(0.032, 0.04), rng.uniform(0.05, 0.065)
    foot = 0.7 * radius
    outside = [(0.0, 0.0), (foot, 0.0), (0.93 * radius, 0.8 * height), (radius, 0.8 * height), (radius, height)]
    earth = [(radius, height), (radius - 0.004, height), (radius - 0.004, 0.9 * height), (0.0, 0.92 * height)]
    soil = Skin(Texture("granite", int(rng.integers(2**31)), ((0.14, 0.09, 0.06), (0.34, 0.24, 0.16))))
    clay = Skin(color=color(rng, ((0.74, 0.38, 0.24), (0.90, 0.88, 0.82), (0.35, 0.45, 0.50))), specular=0.15)
    leaf = Skin(Texture("clouds", int(rng.integers(2**31)), ((0.12, 0.32, 0.12), (0.42, 0.64, 0.26))), specular=0.1)
    meshes = [turned(outside, clay), turned(earth, soil)]
    for _ in range(int(rng.integers(6, 11))):
        meshes.append(_leaf(rng, height, radius, leaf))
    return _standing(tuple(meshes), radius, height + 0.05, 0.3, foot)


def _leaf(rng: np.random.Generator, base: float, radius: float, skin: Skin) -> Mesh:
    """One long leaf that leans outward."""
    length, width = rng.uniform(0.03, 0.055), rng.uniform(0.006, 0.010)
    turn, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.9)
    blade = ball(0.5, skin, segments=10)
    scaled = blade.vertices * (width * 2, width, length)
    c, s = np.cos(lean), np.sin(lean)
    tilt = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(turn), np.sin(turn)
    spin = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    root = spin @ np.array([0.35 * radius, 0, 0]) + (0, 0, 0.9 * base)
    return Mesh(scaled @ (spin @ tilt).T + root, blade.faces, skin, blade.texcoords)
