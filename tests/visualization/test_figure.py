"""One description of the figure, and what every drawing makes of it."""

import dataclasses

import numpy as np
import pytest
from PIL import ImageColor
from visualization.test_render import hide, signer

from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import SIDES, SKELETONS, Skeleton
from signllm_jax.inference import clip_files
from signllm_jax.visualization import (
  cells,
  figure,
  raster,
  render,
  themes,
  view,
)

ALL = pytest.mark.parametrize("each", SKELETONS.values(), ids=list(SKELETONS))


def mover(of: Skeleton, frames: int = 24, seed: int = 0) -> clips.Clip:
  """Arms that swing and hands that turn, open and close, before the body."""
  rng = np.random.default_rng(seed)
  values = np.zeros((frames, *of.shape), np.float32)
  right, left = of.shoulders
  values[:, right, 0], values[:, left, 0] = -1 / 6, 1 / 6
  for name in ("neck", "nose"):
    if (joint := of.find(name)) is not None:
      values[:, joint, 1] = -0.2 if name == "nose" else 0
  if of.face:
    angles = np.linspace(0, 2 * np.pi, len(of.face), endpoint=False)
    oval = np.stack([0.07 * np.cos(angles), 0.1 * np.sin(angles) - 0.25], -1)
    values[:, list(of.face), :2] = oval
  for side, sign in zip(SIDES, (1, -1), strict=True):
    _, elbow, wrist = of.arm(side)
    values[:, elbow, :2] = sign * 0.25, 0.28
    swing = np.linspace(0, 2 * np.pi * rng.uniform(1, 3), frames)
    values[:, wrist, 0] = sign * 0.2 + 0.15 * np.sin(swing)
    values[:, wrist, 1] = -0.1 + 0.25 * np.cos(swing)
    turn, open_ = swing * 1.3, 0.6 + 0.4 * np.sin(2 * swing)
    root = of.hand(side)
    values[:, root] = values[:, wrist]
    for finger in range(5):
      for joint in range(4):
        reach = np.where(joint == 0, 0.1, 0.1 + 0.035 * joint * open_)
        angle = turn + 0.25 * (finger - 2)
        ahead = np.stack([np.cos(angle), np.sin(angle)], -1)
        place = values[:, root, :2] + reach[:, None] * ahead
        values[:, root + 1 + 4 * finger + joint, :2] = place
  valid = np.ones(values.shape[:2], bool)
  return clips.Clip(values, valid, text="move", skeleton=of)


def cell_of(*sequence: clips.Clip, size: int = 320) -> list[cells.Cell]:
  drawn = [view.Geometry(clip) for clip in sequence]
  shared, longest = view.fit(drawn), max(map(len, sequence))
  return [cells.Cell(each, "", shared, size, longest) for each in drawn]


def outside(cell: cells.Cell, t: int, side: str) -> float:
  """How far the marks of a hand reach out of its card, in pixels."""
  card = cell.hands[side]
  ends = []
  for mark in cell.hand_marks(t, side):
    half = mark.width / 2
    ends += [-(mark.points.min(0) - half)]
    ends += [mark.points.max(0) + half - (card.width, card.height)]
  return float(np.max(ends)) if ends else -np.inf


@ALL
def test_description_holds_for_every_skeleton(each):
  shapes = figure.describe(each)
  for shape in shapes:
    assert {shape.colour, shape.fill} <= {"", *themes.LIGHT}
    for point in shape.points:
      assert sum(point.weights) == pytest.approx(1)
      assert all(0 <= joint < each.num_joints for joint in point.joints)
    if shape.depth_of is not None:
      assert shapes[shape.depth_of].layer in ("head", "hands")
  fingers = [s for s in shapes if s.layer == "hands" and s.kind == "line"]
  assert len(fingers) == 10 and all(len(s.points) == 4 for s in fingers)
  assert any(s.layer == "face" for s in shapes) == bool(each.face)
  drawn = {joint for s in shapes for p in s.points for joint in p.joints}
  assert drawn >= {j for side in SIDES for j in each.parts[f"{side}_hand"]}
  assert themes.LIGHT.keys() == themes.DARK.keys()


@ALL
def test_hands_are_whole_in_their_cards_in_every_frame(each):
  clip = mover(each)
  faulty = dataclasses.replace(clip, frames=clip.frames.copy())
  tip = each.hand("right") + 8
  faulty.frames[7, tip, :2] += 3  # one frame of bad detection
  missing = dataclasses.replace(clip, valid=clip.valid.copy())
  missing.valid[5:9, each.hand("left")] = False
  for size in (97, 320):
    for sequence in ([clip], [faulty], [missing], [clip, mover(each, 9, 1)]):
      for cell, shown in zip(
        cell_of(*sequence, size=size), sequence, strict=True
      ):
        for t in range(len(shown)):
          for side in cell.hands:
            assert outside(cell, t, side) <= 0, (t, side)


@ALL
def test_body_card_holds_arms_and_head(each):
  (cell,) = cell_of(mover(each))
  shapes = figure.describe(each)
  for t in range(24):
    for mark in cell.body_marks(t):
      if shapes[mark.shape].layer != "torso":
        reach = mark.radius + mark.width / 2
        assert mark.points.min() - reach >= 0
        assert mark.points.max() + reach <= cell.body.width


def test_no_finger_is_painted_on_the_edge_of_its_card():
  colours = {
    ImageColor.getrgb(colour) for colour in (*themes.RIGHT, *themes.LEFT)
  }
  clip = mover(SKELETONS["prompt2sign50"])
  (cell,) = cell_of(clip, size=160)
  artist = raster.Artist(cell)
  for t in range(0, len(clip), 2):
    page = np.asarray(artist.draw(t))
    for card in cell.hands.values():
      picture = page[card.y :, card.x :][: card.height, : card.width]
      inside = np.zeros(picture.shape[:2], bool)
      inside[1:-1, 1:-1] = True
      edge = {tuple(pixel) for pixel in picture[~inside].tolist()}
      assert not edge & colours
      assert {tuple(p) for p in picture[inside].tolist()} & colours


def test_a_fault_of_one_frame_leaves_the_scale_of_the_others():
  clip = mover(SKELETONS["prompt2sign50"])
  faulty = dataclasses.replace(clip, frames=clip.frames.copy())
  faulty.frames[7, clip.skeleton.hand("right") + 8, :2] += 3
  (plain,), (shown,) = cell_of(clip), cell_of(faulty)
  widths = [
    [max(mark.width for mark in cell.hand_marks(t, "right")) for t in (3, 7)]
    for cell in (plain, shown)
  ]
  assert widths[1][0] == pytest.approx(widths[0][0], rel=0.05)
  assert widths[1][1] < 0.5 * widths[0][1]


def test_fingers_begin_in_their_palm_without_a_gap():
  """No halo lies on the knuckle, and the palm's own wedge ends there."""
  (cell,) = cell_of(mover(SKELETONS["prompt2sign50"]))
  shapes = figure.describe(SKELETONS["prompt2sign50"])
  opened = [
    max(
      np.ptp(mark.points, axis=0).max() for mark in cell.hand_marks(t, "right")
    )
    for t in range(24)
  ]
  drawn = cell.hand_marks(int(np.argmax(opened)), "right")
  for mark in drawn:
    if mark.colour == "card":
      finger = next(
        m for m in drawn if m.shape == mark.shape and m.colour != "card"
      )
      gap = np.linalg.norm(mark.points[0] - finger.points[0])
      assert gap > mark.width / 2
      name = shapes[mark.shape].colour.replace("finger", "root")
      wedge = next(m for m in drawn if shapes[m.shape].colour == name)
      ends = wedge.points[2:].mean(0)
      np.testing.assert_allclose(ends, finger.points[0], atol=1e-3)
      across = np.linalg.norm(wedge.points[2] - wedge.points[3])
      assert across == pytest.approx(finger.width, rel=1e-3)


def test_a_hand_that_is_never_seen_has_no_card():
  both, one = signer(2), hide(signer(2), "left_hand")
  none = hide(one, "right_hand")
  sides = [list(cell_of(clip)[0].hands) for clip in (both, one, none)]
  assert sides == [["right", "left"], ["right"], []]
  (cell,) = cell_of(one)
  assert cell.hands["right"].width == cell.body.width
  heights = [next(render.frames({"a": c})).shape[0] for c in (both, one, none)]
  assert heights[0] == heights[1] > heights[2] + 100


def test_clips_side_by_side_share_one_scale():
  clip = mover(SKELETONS["prompt2sign50"])
  wide = dataclasses.replace(clip, frames=1.5 * clip.frames)
  for first, second in zip(
    cell_of(clip, wide), cell_of(wide, clip), strict=True
  ):
    assert first.hands.keys() == second.hands.keys()
  one, other = cell_of(clip, wide)
  for draw in (
    lambda cell: cell.body_marks(3),
    lambda cell: cell.hand_marks(3, "right"),
  ):
    spans = [
      [
        np.ptp(m.points, axis=0).max()
        for m in draw(cell)
        if m.colour == "right_finger_2"
      ]
      for cell in (one, other)
    ]
    assert spans[1][0] == pytest.approx(1.5 * spans[0][0], rel=1e-3)
    widths = [[m.width for m in draw(cell)] for cell in (one, other)]
    assert sorted(widths[0]) == sorted(widths[1])


def test_order_follows_depth_in_hands_and_layers_elsewhere():
  clip = mover(SKELETONS["prompt2sign50"])
  shapes = figure.describe(clip.skeleton)
  ahead = clip.frames.copy()
  ahead[:, list(clip.skeleton.parts["right_hand"]), 2] = -0.3
  ahead[:, clip.skeleton.arm("right")[2], 2] = -0.3
  behind = ahead * [1, 1, -1]  # the mirror image in depth looks the same
  for frames in (ahead, behind):
    moved = dataclasses.replace(clip, frames=frames.astype(np.float32))
    (cell,) = cell_of(moved)
    sides = [shapes[m.shape].side for m in cell.body_marks(0)]
    sides = [side for side in sides if side]
    assert sides == sorted(sides)  # left first, right before it
    layers = [shapes[m.shape].layer for m in cell.body_marks(0)]
    order = [figure.LAYERS.index(layer) for layer in layers]
    assert order == sorted(order)


def test_many_rows_become_several_sheets(tmp_path):
  many = [
    dataclasses.replace(signer(1), text=f"word {i}", name=str(i))
    for i in range(render.MAX_ROWS + 1)
  ]
  for suffix in render.SHEETS:
    path = tmp_path / f"a{suffix}"
    written = clip_files.save(path, many, size=64)
    names = [f"a-001{suffix}", f"a-002{suffix}"]
    assert [file.name for file in written] == names
    assert written == clip_files.targets(path, len(many))
    assert all(file.stat().st_size for file in written)
  true = clip_files.save(tmp_path / "b.svg", many, many, size=64)
  assert len(true) == 3
  with pytest.raises(errors.UsageError, match="a sheet of 13 rows"):
    render.save(tmp_path / "c.png", {clip.text: clip for clip in many})
  assert not (tmp_path / "c.png").exists()
