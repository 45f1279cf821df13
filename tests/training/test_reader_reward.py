"""The policy gradient that a trained reader rewards, from its door."""

import pytest
from helpers import events, small_runs

import signllm_jax.train as train
from signllm_jax import config
from signllm_jax.core import errors


def _experiment(folder, **sections) -> config.Experiment:
  return config.Experiment(
    steps=3,
    log_every=1,
    data=config.Data(folder=str(folder), batch_size=8, bucket=16),
    model=small_runs.model(alignment=True, just_counter=True),
    evaluate=config.Evaluate(every=0),
    **sections,
  )


@pytest.mark.slow
def test_a_reader_rewards_the_policy(tmp_path):
  folder, reader = tmp_path / "skels", tmp_path / "reader"
  small_runs.write_folder(folder, [small_runs.clip(i) for i in range(8)])
  reading = _experiment(folder, task="pose_to_text")
  assert train.train(reading, str(reader), dry_run=False) == 0
  reward = config.Reinforce(
    "policy_gradient", reward="recognition", reader=str(reader)
  )
  for counter, name in ((True, "at_once"), (False, "in_turn")):
    signing = _experiment(folder, rl=reward)
    signing.model.just_counter = counter
    path = tmp_path / name
    assert train.train(signing, str(path), dry_run=False) == 0
    rewards = events.shown(path, "train/reward/reward_median")
    assert len(rewards) == 3 and all(value < 0 for _, value in rewards)
    norms = events.shown(path, "train/reward/policy_norm")
    assert all(value > 0 for _, value in norms)


def test_a_reader_of_other_clips_is_refused(tmp_path):
  folder = tmp_path / "skels"
  small_runs.write_folder(folder, [small_runs.clip(i) for i in range(8)])
  signing = _experiment(
    folder,
    rl=config.Reinforce(
      "policy_gradient", reward="recognition", reader=str(tmp_path / "none")
    ),
  )
  with pytest.raises(errors.SignLLMError, match="none"):
    train.train(signing, str(tmp_path / "run"), dry_run=False)
  assert not (tmp_path / "run").exists()
