"""What is printed on things: labels, covers, balls. They fill a texture once, rows from the top."""

from __future__ import annotations

import cv2
import numpy as np

from keypoint_sim.patterns.fields import SIZE, Field, line, soft, value_noise

WORDS = (
    "TEA",
    "MIEL",
    "OATS",
    "SOAP",
    "MINT",
    "CORN",
    "GLUE",
    "NO. 7",
    "OLIVE",
    "RYE",
    "COCOA",
    "LIMA",
    "SALT",
    "PLUM",
)
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SIMPLEX)
GROUND, BAND, PANEL, MARK, TEXT = 0.0, 0.25, 0.5, 0.75, 1.0  # levels of a label's five colours


def label(rng: np.random.Generator) -> Field:
    """A wrapped label: bands above and below, a panel with a word, a badge, bars; it comes twice around."""
    half = np.full((SIZE, SIZE // 2), GROUND, dtype=np.float32)
    for top, thick in ((0.06, rng.uniform(0.02, 0.1)), (0.84, rng.uniform(0.02, 0.1))):
        half[int(top * SIZE) : int((top + thick) * SIZE)] = BAND
    width, height = SIZE // 2, SIZE
    cv2.ellipse(half, (width // 2, height // 2), (104, int(rng.integers(70, 150))), 0, 0, 360, PANEL, -1, cv2.LINE_AA)
    _word(half, rng, (width // 2, height // 2), 184, TEXT)
    cv2.circle(half, (int(rng.integers(40, width - 40)), 400), 24, MARK, -1, cv2.LINE_AA)
    _bars(half, rng, (int(rng.integers(16, 150)), 92))
    return np.tile(half, 2)


def cover(rng: np.random.Generator) -> Field:
    """A book's cover or a box's print: a title, rules, a picture of some discs or bars."""
    image = np.full((SIZE, SIZE), GROUND, dtype=np.float32)
    cv2.rectangle(image, (28, 28), (SIZE - 28, SIZE - 28), BAND, int(rng.integers(3, 22)))
    for _ in range(int(rng.integers(4, 12))):
        centre = (int(rng.integers(90, SIZE - 90)), int(rng.integers(220, SIZE - 90)))
        level = float(rng.choice([BAND, PANEL, MARK]))
        if rng.random() < 0.5:
            cv2.circle(image, centre, int(rng.integers(14, 60)), level, -1, cv2.LINE_AA)
        else:
            corner = (centre[0] + int(rng.integers(20, 100)), centre[1] + int(rng.integers(8, 60)))
            cv2.rectangle(image, centre, corner, level, -1)
    _word(image, rng, (SIZE // 2, 130), 340, TEXT)
    return image


def panels(rng: np.random.Generator) -> Field:
    """Gores of a beach ball in several colours, with caps at both ends."""
    count = 2 * int(rng.integers(3, 6))
    shades = np.tile(np.array([0.0, 0.5, 1.0, 0.75] if rng.random() < 0.5 else [0.0, 1.0], np.float32), count)
    field = np.broadcast_to(shades[np.arange(SIZE) * count // SIZE], (SIZE, SIZE)).copy()
    field[:40], field[-40:] = 0.25, 0.25
    return field


def peel(rng: np.random.Generator) -> Field:
    """A fruit's skin: one side redder, fine dots."""
    blush = 0.5 + 0.4 * line(1, rng.random())[None] + 0.3 * (value_noise(rng, (8, 8)) - 0.5)
    return blush - 0.25 * (value_noise(rng, (128, 128)) < 0.06)


def glaze(rng: np.random.Generator) -> Field:
    """Pottery: an even glaze with a few rings, or with a row of dots."""
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    if rng.random() < 0.5:
        for top in rng.integers(20, SIZE - 60, int(rng.integers(1, 5))):
            image[top : top + int(rng.integers(8, 60))] = float(rng.choice([0.5, 1.0]))
    else:
        rows, count = int(rng.integers(2, 5)), int(rng.integers(8, 16))
        steps = np.arange(SIZE, dtype=np.float32) / SIZE
        down, across = 2 * (steps * rows % 1 - 0.5), steps * count % 1 - 0.5
        image += soft(0.3 - np.sqrt(down[:, None] ** 2 + across[None] ** 2), 25)
    return image + 0.06 * (value_noise(rng, (12, 12)) - 0.5)


def pips(rng: np.random.Generator) -> Field:
    """One face of a die."""
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    low, mid, high = 120, SIZE // 2, SIZE - 120
    for centre in ((low, low), (high, high), (mid, mid), (low, high), (high, low))[: int(rng.integers(2, 6))]:
        cv2.circle(image, centre, 54, 1.0, -1, cv2.LINE_AA)
    cv2.rectangle(image, (0, 0), (SIZE - 1, SIZE - 1), 0.15, 16)
    return image


def _word(image: Field, rng: np.random.Generator, centre: tuple[int, int], width: int, level: float) -> None:
    word, font = WORDS[int(rng.integers(len(WORDS)))], FONTS[int(rng.integers(len(FONTS)))]
    (w, h), _ = cv2.getTextSize(word, font, 1.0, 2)
    scale = min(width / w, 3.4)
    origin = (int(centre[0] - scale * w / 2), int(centre[1] + scale * h / 2))
    cv2.putText(image, word, origin, font, scale, level, max(3, int(2.6 * scale)), cv2.LINE_AA)


def _bars(image: Field, rng: np.random.Generator, corner: tuple[int, int]) -> None:
    """A bar code."""
    x, y = corner
    image[y : y + 44, x : x + 84] = PANEL
    for left in range(x + 4, x + 80, 6):
        image[y + 4 : y + 40, left : left + int(rng.integers(1, 5))] = TEXT
