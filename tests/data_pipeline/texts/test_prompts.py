"""Question templates and the prompts made with them."""

import itertools
import pathlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.texts import prompts
from signllm_jax.core import errors, languages

FOLDER = pathlib.Path(prompts.__file__).with_name("prompt_templates")
FILES = sorted(path.stem for path in FOLDER.glob("*.txt"))

per_file = pytest.mark.parametrize("spoken", FILES)


def test_every_spoken_language_has_templates():
  spoken = {language.spoken for language in languages.LANGUAGES.values()}
  assert spoken <= set(FILES)


@per_file
def test_templates_are_many_and_distinct(spoken):
  listed = prompts.templates(spoken)
  assert len(set(listed)) == len(listed) >= 40
  assert all(line.isprintable() for line in listed)


@per_file
def test_no_two_templates_fit_one_prompt(spoken):
  pairs = itertools.combinations(prompts.templates(spoken), 2)
  for (begin, end), (other_begin, other_end) in (
    (first.split("{}"), second.split("{}")) for first, second in pairs
  ):
    begins = begin.startswith(other_begin) or other_begin.startswith(begin)
    ends = end.endswith(other_end) or other_end.endswith(end)
    assert not (begins and ends), (begin, end, other_begin, other_end)


@per_file
def test_quotation_marks_are_of_one_kind(spoken):
  quotes = {"de": "„“", "en": "''", "es": "«»", "fr": "«»", "it": "«»"}
  opening, closing = quotes.get(spoken, "“”")
  for line in prompts.templates(spoken):
    before, after = (part.strip() for part in line.split("{}"))
    quoted = before.endswith(opening) and after.startswith(closing)
    assert quoted or (before.endswith(":") and not after), line


@given(
  st.sampled_from(FILES),
  st.text(min_size=1) | st.sampled_from(["{}", "'", "“{}”?", "' in '"]),
  st.text(st.characters(exclude_categories=["Cs"])),
  st.integers(),
)
def test_prompt_is_a_filled_template(spoken, text, name, seed):
  prompt = prompts.make_prompt(text, spoken, name, seed)
  fitted = prompts._fitted(text, spoken)
  filled = []
  for line in prompts.templates(spoken):
    before, after = line.split("{}")
    filled.append(
      before + fitted + prompts._after(after, text, spoken)
      if after
      else before + text
    )
  assert prompt in filled


@pytest.mark.parametrize(
  ("spoken", "text", "fitted"),
  [
    ("en", '"Stop!"', "Stop!"),
    ("en", "'Stop!'", "Stop!"),
    ("en", "I don't go.", "I don't go"),
    ("en", 'He said "no".', 'He said "no"'),
    ("en", "It's 'the' one", 'It\'s "the" one'),
    ("en", "'a' and 'b'", '"a" and "b"'),
    ("en", "Well...", "Well..."),
    ("de", "„Halt!“", "Halt!"),
    ("de", "Er sagte „ja“.", "Er sagte ‚ja‘"),
    ("fr", "« Stop ! »", "Stop !"),
    ("fr", "Il dit « non ».", "Il dit “ non ”"),
    ("es", "«No» es no", "“No” es no"),
    ("tr", '"Dur!" dedi.', "‘Dur!’ dedi"),
    ("ko", "“아니요”라고 했어요.", "‘아니요’라고 했어요"),
  ],
)
def test_a_text_with_marks_has_one_pair_around_it(spoken, text, fitted):
  assert prompts._fitted(text, spoken) == fitted


@pytest.mark.parametrize(
  ("text", "particle"),
  [("물", "이라고"), ("나무", "라고"), ("갔습니다.", "라고"), ("3", "이라고")],
)
def test_korean_particles_follow_the_last_sound(text, particle):
  assert prompts._after("”라고 해요", text, "ko") == f"”{particle} 해요"


def test_choice_is_the_same_everywhere():
  made = [prompts.make_prompt("hi", "en", f"clip{i}") for i in range(3)]
  assert made == [
    "How can I sign 'hi' correctly?",
    "How would a deaf person sign 'hi'?",
    "Could you demonstrate 'hi' in sign language?",
  ]


def test_seed_and_name_change_the_choice():
  by_name = {prompts.make_prompt("hi", "en", str(i)) for i in range(500)}
  by_seed = {prompts.make_prompt("hi", "en", "a", seed=i) for i in range(500)}
  assert by_name == by_seed
  assert len(by_name) == len(prompts.templates("en"))


def test_prompts_are_plain_text():
  prompt = prompts.make_prompt("ışık", "tr", "a")
  assert unicodedata.is_normalized("NFC", prompt)
  assert prompt == " ".join(prompt.split())


def test_language_without_templates_is_refused():
  with pytest.raises(errors.UsageError, match=r"'xx'.*de, en"):
    prompts.templates("xx")


@pytest.mark.parametrize("line", ["How?", "{} and {}", " {}", "e\u0301 {}", ""])
def test_bad_template_is_named(line, tmp_path, monkeypatch):
  (tmp_path / "qq.txt").write_text(f"Show '{{}}'\n{line}\n", encoding="utf-8")
  monkeypatch.setattr(prompts, "_FOLDER", tmp_path)
  prompts.templates.cache_clear()
  with pytest.raises(errors.DataError, match=r"qq\.txt:2"):
    prompts.templates("qq")
