import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signllm_jax.formats import decimals


def line(values: np.ndarray) -> bytes:
  return " ".join(["%.5f"] * len(values)).encode() % tuple(values)


@pytest.mark.parametrize("count", [1, 2, 151, 4095, 4096, 4097, 30000])
@pytest.mark.parametrize("size", [1, 9.99999])
def test_five_decimals_are_the_nearest_float32(count, size):
  values = np.random.default_rng(count).uniform(-size, size, count)
  text = line(values)
  found = decimals.parse(text)
  assert found is not None
  assert found.dtype == np.float32
  expected = np.array([float(token) for token in text.split()], np.float32)
  np.testing.assert_array_equal(found, expected)


def test_every_digit_in_every_place():
  values = np.arange(1_000_000)
  text = b" ".join(
    b"%d.%05d" % (v // 100_000, v % 100_000) for v in values.tolist()
  )
  found = decimals.parse(text)
  np.testing.assert_array_equal(found, (values / 1e5).astype(np.float32))


def test_signs_of_zero():
  found = decimals.parse(b"0.00000 -0.00000")
  assert found is not None
  np.testing.assert_array_equal(np.signbit(found), [False, True])


@pytest.mark.parametrize(
  "token",
  ["10.00000", "-12.34567", "1e-3", "+0.12345", ".5", "0.123456", "1."],
)
@pytest.mark.parametrize("place", [0, 3, 5000, -1])
def test_other_forms_are_read_too(token, place):
  tokens = ["0.25000"] * 9000
  tokens[place] = token
  found = decimals.parse(" ".join(tokens).encode())
  assert found is not None
  assert found.dtype == np.float64
  np.testing.assert_array_equal(found, [float(each) for each in tokens])


@pytest.mark.parametrize("token", ["0.1", "-0.1", "9.1234", "-9.1234", "1.0"])
@pytest.mark.parametrize("places", [[0], [3, 4], [5000, -1], range(0, 900, 9)])
def test_zeros_at_the_end_may_be_left_out(token, places):
  tokens = np.array(["0.25000"] * 9000)
  tokens[list(places)] = token
  found = decimals.parse(" ".join(tokens).encode())
  assert found is not None
  assert found.dtype == np.float32
  np.testing.assert_array_equal(found, tokens.astype(np.float32))


_PIECES = ["0.12345", "-0.5", " ", "-", "1", ".", "0", "x", "1.00000 ", "\x8d"]


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
@example("1-0.12345")  # a minus where a space should be
@example("--0.12345")
@example("0.12345  0.12345")
@example("0.1234: 0.12345")
@example("0.12345 ")
@example("")
@example("nan")
@example("1_000000")
@example("\u0661.00000")
def test_no_number_where_float_sees_none(text):
  """Alone, and in the middle of numbers of the usual form."""
  for whole in (text, " ".join(["0.50000"] * 5 + [text] + ["-0.50000"] * 5)):
    try:
      expected = [float(token) for token in whole.split(" ")]
    except ValueError:
      expected = None
    if not whole.isascii() or {*whole} & {*"nax_"}:
      expected = None
    found = decimals.parse(whole.encode())
    if expected is None:
      assert found is None
    else:
      np.testing.assert_array_equal(
        found, np.array(expected, found.dtype if found is not None else None)
      )
