"""Another texture on table and wall (the paper's RB): of the procedural bank, or a photograph from a folder."""

from __future__ import annotations

from dataclasses import replace

from keypoint_sim.disturbances.base import Scenario, Surroundings
from keypoint_sim.rng import Stream
from keypoint_sim.textures import PHOTO, Texture, random_texture


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Draws both."""
    table, wall = _draw(around, Stream.TABLE_TEXTURE), _draw(around, Stream.WALL_TEXTURE)
    return replace(scenario, look=replace(scenario.look, table=table, wall=wall))


def _draw(around: Surroundings, stream: Stream) -> Texture:
    rng = around.rng(stream)
    texture = random_texture(rng)
    if around.photos and rng.random() < around.settings.photo_share:
        return Texture(PHOTO, path=around.photos[int(rng.integers(len(around.photos)))])
    return texture
