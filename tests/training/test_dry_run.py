"""The sizes of SignLLM, and what a dry run says of memory."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import signllm_jax.train as train
from configs import signllm
from signllm_jax import config
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.formats import skels
from signllm_jax.models.text_to_pose import TextToPose
from signllm_jax.parallel import sharding
from signllm_jax.runs import train_state
from signllm_jax.training import mesh_planner

WORDS = 3000  # about the vocabulary of PHOENIX14T


@pytest.mark.parametrize(
  ("size", "named"), [("40m", 40e6), ("120m", 120e6), ("1b", 1e9)]
)
def test_sizes_have_the_parameters_in_their_name(size, named):
  experiment = signllm.get_config(f"gsl-{size}")
  mesh = sharding.make_mesh(config.Mesh(fsdp=8, data=1))
  abstract = train_state.abstract_state(
    experiment, sizes_lib.Sizes(WORDS), mesh
  )
  assert abs(train_state.count_parameters(abstract) / named - 1) < 0.05


def test_an_unknown_size_is_refused():
  with pytest.raises(errors.UsageError, match="40m, 120m, 1b"):
    signllm.get_config("gsl-7b")


def _small(encoder_layers, decoder_layers):
  """A shape with dropout, two sources and their decoder inputs."""
  shape = config.Model(
    encoder_layers=encoder_layers,
    decoder_layers=decoder_layers,
    width=16,
    heads=2,
    feed_forward=16,
    dropout=0.1,
  )
  frames = np.random.default_rng(0).normal(size=(2, 5, 151))
  return shape, jnp.array([[5, 6, 3], [7, 3, 0]]), jnp.asarray(frames)


def test_rematerialising_changes_no_gradient():
  shape, source, frames = _small(1, 1)
  grads = []
  for remat in (False, True):
    shape = dataclasses.replace(shape, remat=remat)
    graph, params = nnx.split(TextToPose(shape, 9, PROMPT2SIGN50, nnx.Rngs(0)))

    def loss(params, graph=graph):
      model = nnx.merge(graph, params)
      return jnp.sum(model(source, frames, jax.random.key(1)).frames ** 2)

    grads.append(jax.jit(jax.grad(loss))(params))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *grads
  )


@pytest.mark.slow
def test_layers_in_a_loop_are_the_same_model():
  shape, source, frames = _small(2, 3)
  found = []
  for scan in (False, True):
    model = TextToPose(
      dataclasses.replace(shape, scan=scan), 9, PROMPT2SIGN50, nnx.Rngs(0)
    )
    graph, params = nnx.split(model)

    def loss(params, graph=graph):
      out = nnx.merge(graph, params)(source, frames, jax.random.key(1)).frames
      return jnp.sum(out**2), out

    (_, out), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    attended = model.project_memory(*model.encode(source))
    first, _ = model.step(
      frames[:, 0], jnp.int32(0), model.empty_cache(2, 5), attended
    )
    norm = jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(grads)))
    found.append((out, first.frames, norm))
    if scan:
      kernel = params["decoder"]["layer"]["feed_forward"]["up"]["kernel"]
      assert kernel[...].shape == (3, 16, 16)
      assert kernel.get_metadata()["axes"] == ("layers", "embed", "mlp")
  for a, b in zip(*found, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.fixture
def folder(tmp_path):
  """Eight clips of noise; only their shapes matter."""
  path, random = tmp_path / "data", np.random.default_rng(0)
  path.mkdir()
  frames = random.normal(0, 0.1, (12, 50, 3)).astype(np.float32)
  frames[:, 1], frames[:, 2, 0], frames[:, 5, 0] = 0, -1 / 6, 1 / 6
  listed = [clips.Clip(frames, np.ones((12, 50), bool))] * 8
  skels.write(path / "train.skels", listed)
  (path / "train.text").write_text("a word\n" * 8)
  return path


def _one_layer(folder) -> config.Experiment:
  """The wide model, cut to what compiles soonest."""
  experiment = signllm.get_config("asl-40m")
  experiment.data = dataclasses.replace(
    experiment.data, folder=str(folder), language="", batch_size=8, bucket=16
  )
  experiment.model.encoder_layers = experiment.model.decoder_layers = 1
  experiment.model.dropout = experiment.augment.noise = 0.0
  experiment.evaluate.batch_size = 8
  return experiment


def _memory(experiment, tmp_path, capsys) -> list[int]:
  assert train.train(experiment, str(tmp_path), dry_run=True) == 0
  (line,) = re.findall(r"^memory .*$", capsys.readouterr().out, re.MULTILINE)
  return [int(number) for number in re.findall(r"\d+", line)]


def test_a_dry_run_tells_the_memory_of_a_device(folder, tmp_path, capsys):
  experiment = _one_layer(folder)
  experiment.mesh = config.Mesh(data=8)
  whole, kept, *_ = _memory(experiment, tmp_path / "a", capsys)
  experiment.mesh = config.Mesh(data=1, fsdp=8)
  shared, less, *_ = _memory(experiment, tmp_path / "b", capsys)
  # Parameters and both moments, 12 bytes each, are spread over 8 devices.
  assert kept > 4 * less
  assert whole > shared
  assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_the_first_mesh_that_fits_is_found(folder):
  (roomy,) = mesh_planner.fits(_one_layer(folder), 1 << 40)
  assert roomy.mesh == config.Mesh(data=8)
  assert roomy.total is not None
  assert roomy.state < roomy.total
  # Too much for every device to hold it all.
  limit = roomy.state - 1
  tried = list(mesh_planner.fits(_one_layer(folder), limit))
  whole, half, last = tried[0], tried[1], tried[-1]
  assert whole.total is None
  assert half.mesh == config.Mesh(data=4, fsdp=2)
  # Parameters and moments are halved, the rest is small.
  assert half.state == pytest.approx(roomy.state / 2, rel=0.02)
  assert half.total is not None and last.total is not None
  assert last.total <= limit
  assert last.mesh == half.mesh or half.total > limit


def test_what_fits_nowhere_is_refused(folder, capsys):
  with pytest.raises(errors.UsageError, match="8 devices of"):
    train.train(_one_layer(folder), "", dry_run=True, memory=0.001)
  assert capsys.readouterr().out.count("\n") == 2 + 10


def test_meshes_come_by_what_they_communicate():
  experiment = config.Experiment()
  experiment.data.batch_size = experiment.evaluate.batch_size = 8
  found = mesh_planner.meshes(experiment, 8)
  assert found[0] == config.Mesh(data=8)
  assert found[3] == config.Mesh(data=1, fsdp=8)
  assert found[4] == config.Mesh(data=4, tensor=2)
  assert len(found) == len(set(map(str, found))) == 4 + 3 + 2
  experiment.task, experiment.data.language = "mlsf", "ASL,GSL"
  experiment.data.folder = "a,b"
  assert mesh_planner.meshes(experiment, 8)[0] == config.Mesh(
    data=4, language=2
  )
  experiment.data.batch_size, experiment.model.heads = 9, 1
  with pytest.raises(errors.UsageError, match="batches of 9"):
    mesh_planner.meshes(experiment, 8)
