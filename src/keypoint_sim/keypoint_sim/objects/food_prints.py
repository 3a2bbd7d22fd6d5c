"""Pictures of food and tableware, drawn once; each is an RGB image [H, W, 3] uint8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_sim.rng import Stream, generator
from keypoint_sim.textures import value_noise

Image = NDArray[np.uint8]
Color = tuple[int, int, int]
RICE, SALMON, FAT, NORI = (240, 235, 222), (240, 118, 62), (252, 206, 168), (24, 38, 28)


def texture_xml(pictures: Mapping[str, Callable[[], Image]]) -> str:
    """MJCF assets for the textures that these functions draw, by name."""
    shapes = {name: draw().shape for name, draw in pictures.items()}
    return "".join(
        f'<texture name="{name}" type="2d" builtin="flat" width="{width}" height="{height}"/>'
        for name, (height, width, _) in shapes.items()
    )


def _ground(seed: int, size: tuple[int, int], color: Color, contrast: float, cells: int) -> Image:
    """An even ground of this size (width, height) with a little life in it."""
    noise = value_noise(generator(seed, Stream.OBJECT_TEXTURE), (cells, cells))
    noise = cv2.resize(noise, size, interpolation=cv2.INTER_AREA)[..., None]
    return np.clip(np.array(color) * (1 + contrast * (noise - 0.5)), 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def draw_rice() -> Image:
    """Grains that lie about."""
    rng = generator(31, Stream.OBJECT_TEXTURE)
    image = _ground(31, (512, 512), (196, 186, 164), 0.3, 32)
    for _ in range(900):
        centre = tuple(int(c) for c in rng.integers(0, 512, 2))
        angle, shade = float(rng.uniform(0, 180)), float(rng.uniform(0.90, 1.04))
        cv2.ellipse(image, centre, (17, 8), angle, 0, 360, (150, 140, 120), -1, cv2.LINE_AA)
        color = tuple(int(min(255, c * shade)) for c in RICE)
        cv2.ellipse(image, centre, (15, 6), angle, 0, 360, color, -1, cv2.LINE_AA)
    return image


@lru_cache(maxsize=1)
def draw_salmon() -> Image:
    """Orange flesh with white lines of fat, which fork at one end; the slice's length runs right."""
    image = _ground(32, (768, 512), SALMON, 0.35, 16)
    for i, start in enumerate(range(-260, 900, 82)):
        v = np.linspace(0, 512, 40)
        bow = 70 * np.sin(np.pi * v / 430) + 6 * np.sin(v / 37 + i)
        line = np.column_stack([start + 0.35 * v + bow, v]).astype(np.int32)
        cv2.polylines(image, [line], False, FAT, 13 + 5 * (i % 2), cv2.LINE_AA)
        if i % 3 == 0:
            cv2.polylines(image, [line[12:26] + (24, 0)], False, FAT, 6, cv2.LINE_AA)
    return image


@lru_cache(maxsize=1)
def draw_nori() -> Image:
    """Dark green, rough."""
    image = _ground(33, (256, 256), NORI, 1.2, 64)
    speckle = value_noise(generator(34, Stream.OBJECT_TEXTURE), (128, 128))
    image[cv2.resize(speckle, (256, 256)) > 0.8] = (52, 74, 52)
    return image


@lru_cache(maxsize=1)
def draw_plate() -> Image:
    """Cream porcelain, painted in blue: waves on the rim, a blossoming branch to one side, a fish to the other."""
    image = _ground(35, (768, 768), (236, 232, 220), 0.08, 24)
    blue, pale = (38, 66, 132), (120, 150, 196)
    for ring, width in ((372, 6), (300, 4)):
        cv2.circle(image, (384, 384), ring, blue, width, cv2.LINE_AA)
    for i in range(30):
        turn = 2 * np.pi * i / 30
        centre = (round(384 + 322 * np.cos(turn)), round(384 + 322 * np.sin(turn)))
        for k, radius in enumerate((34, 23, 12)):
            start = float(np.rad2deg(turn)) - 90
            cv2.ellipse(image, centre, (radius, radius), start, 0, 180, pale if k % 2 else blue, 6, cv2.LINE_AA)
    _branch(image, blue)
    _fish(image, blue, pale)
    return image


def _branch(image: Image, color: Color) -> None:
    twig = np.array([[150, 520], [210, 470], [240, 400], [300, 330], [310, 260], [350, 200]], dtype=np.int32)
    cv2.polylines(image, [twig], False, (96, 74, 58), 11, cv2.LINE_AA)
    cv2.polylines(
        image, [np.array([[240, 400], [180, 360], [165, 300]], np.int32)], False, (96, 74, 58), 7, cv2.LINE_AA
    )
    for x, y, size in ((165, 300, 30), (235, 425, 22), (300, 315, 32), (352, 196, 26), (192, 492, 24)):
        for i in range(5):
            turn = 2 * np.pi * i / 5 + x
            petal = (round(x + size * 0.6 * np.cos(turn)), round(y + size * 0.6 * np.sin(turn)))
            cv2.circle(image, petal, round(size * 0.48), (206, 78, 92), -1, cv2.LINE_AA)
        cv2.circle(image, (x, y), round(size * 0.3), (244, 208, 96), -1, cv2.LINE_AA)
    cv2.ellipse(image, (262, 250), (26, 10), -60, 0, 360, color, -1, cv2.LINE_AA)
    cv2.ellipse(image, (330, 270), (24, 9), 20, 0, 360, color, -1, cv2.LINE_AA)


def _fish(image: Image, dark: Color, pale: Color) -> None:
    cv2.ellipse(image, (520, 520), (86, 34), -38, 0, 360, dark, -1, cv2.LINE_AA)
    tail = np.array([[455, 570], [398, 590], [432, 618], [430, 660]], dtype=np.int32)
    cv2.fillPoly(image, [tail], dark, cv2.LINE_AA)
    for i in range(4):
        x = 480 + 24 * i
        cv2.ellipse(image, (x, round(551 - 19 * i)), (12, 26), -38, -70, 70, pale, 4, cv2.LINE_AA)
    cv2.circle(image, (570, 474), 8, (240, 236, 224), -1, cv2.LINE_AA)
    cv2.circle(image, (480, 450), 10, pale, -1, cv2.LINE_AA)
    cv2.circle(image, (610, 560), 14, pale, 4, cv2.LINE_AA)
    cv2.circle(image, (580, 610), 9, pale, 4, cv2.LINE_AA)


@lru_cache(maxsize=1)
def draw_dish() -> Image:
    """A small bowl with white dots on its dark glaze, and soy sauce in it; seen from above."""
    image = _ground(36, (384, 384), (46, 62, 84), 0.35, 24)
    for i in range(18):
        turn = 2 * np.pi * i / 18
        for radius, size in ((170, 8), (142, 5)):
            shift = turn + (0.17 if size == 5 else 0)
            spot = (round(192 + radius * np.cos(shift)), round(192 + radius * np.sin(shift)))
            cv2.circle(image, spot, size, (226, 224, 214), -1, cv2.LINE_AA)
    cv2.circle(image, (192, 192), 118, (44, 22, 12), -1, cv2.LINE_AA)
    cv2.ellipse(image, (170, 160), (70, 40), -30, 0, 360, (66, 34, 18), -1, cv2.LINE_AA)
    return image


@lru_cache(maxsize=1)
def draw_leaf() -> Image:
    """A bamboo leaf with parallel veins, its length to the right."""
    image = _ground(37, (512, 192), (70, 122, 58), 0.5, 24)
    for i in range(-7, 8):
        y = 96 + 13 * i
        cv2.line(image, (0, 96 + 6 * i), (512, y), (96, 150, 78) if i % 2 else (48, 96, 44), 3, cv2.LINE_AA)
    cv2.line(image, (0, 96), (512, 96), (176, 196, 120), 7, cv2.LINE_AA)
    return image


@lru_cache(maxsize=1)
def draw_maki() -> Image:
    """The cut of a roll: nori around rice around salmon, cucumber and egg."""
    image = _ground(38, (320, 320), NORI, 1.0, 48)
    rice = cv2.resize(draw_rice(), (320, 320), interpolation=cv2.INTER_AREA)
    disc = np.zeros((320, 320), dtype=np.uint8)
    cv2.circle(disc, (160, 160), 138, 255, -1)
    image[disc > 0] = rice[disc > 0]
    cv2.circle(image, (160, 160), 70, NORI, 5, cv2.LINE_AA)
    cv2.rectangle(image, (112, 116), (160, 176), SALMON, -1)
    cv2.line(image, (118, 130), (156, 168), FAT, 6, cv2.LINE_AA)
    cv2.rectangle(image, (164, 112), (208, 158), (248, 206, 84), -1)
    cv2.rectangle(image, (134, 178), (196, 212), (120, 176, 84), -1)
    cv2.rectangle(image, (140, 186), (190, 204), (206, 226, 160), -1)
    return image
