"""Fast parsing of lines of decimal numbers, the text form of poses.

Nearly all numbers are `%.5f` of a number below 10: with the sign or space
before them eight bytes, one 64-bit word. NumPy extracts, checks and converts
the words, several times as fast as `float` on each number.
"""

import re
import warnings

import numpy as np

# A decimal number of ASCII digits, in every form of text.
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SHORT = re.compile(rb"-?\d\.\d{1,4}")  # `%.5f` without trailing zeros
_STEP = 15 << 13  # bytes per block: temporaries stay in the cache


def _word(text: bytes) -> np.uint64:
  return np.uint64(int.from_bytes(text, "little"))


_FORM = _word(b" 0.00000")  # XOR makes digits 0 to 9 and the rest 0
_CARRY = _word(b"\0\6\0\6\6\6\6\6")  # carries values above 9 into the high bits
_HIGH = _word(b"\0\xf0\xff\xf0\xf0\xf0\xf0\xf0")
_SHIFTS = _word(bytes(range(56, -1, -8)))  # byte 7 - k is 8 k
_UNIT = _word(b"\0\xff\0\0\0\0\0\0")  # the digit before the point
_REST = _word(b"\0\0\0\xff\xff\xff\xff\xff")
_PAIRS, _FOURS = _word(b"\xff\0" * 4), _word(b"\xff\xff\0\0" * 2)
_JOINTS = np.array([1 + (10 << 8), 1 + (100 << 16), 1 + (10**4 << 32)], "<u8")


def parse(line: bytes) -> np.ndarray | None:
  """Parses the decimal numbers of a line, separated by single spaces.

  Returns:
    [M] float32, each nearest to its decimal, if all have the form of `%.5f` for
    numbers below 10, with or without trailing zeros; otherwise [M] float64,
    infinite beyond its range; None if any is not a decimal number.
  """
  numbers = _parse_words(line)
  if numbers is None:
    numbers = _parse_words(_with_zeros(line))
  return parse_float64(line) if numbers is None else numbers


def parse_number(text: str) -> float | None:
  """Parses a decimal number of ASCII digits; None if it is none.

  Python's own `float` also takes nan, inf, 1_000 and digits of other scripts.
  """
  number = text.encode("utf-8", "surrogateescape")
  return float(text) if NUMBER.fullmatch(number) else None


def first_invalid(line: bytes) -> tuple[int, bytes]:
  """Index and text of the first token of a line that is no decimal number.

  Args:
    line: one that `parse` refuses.
  """
  start = 0
  for index in range(line.count(b" ") + 1):
    end = line.find(b" ", start)
    token = line[start:] if end < 0 else line[start:end]
    if not NUMBER.fullmatch(token):
      return index, token
    start = end + 1
  raise AssertionError("a line without an invalid token")


def parse_float64(line: bytes) -> np.ndarray | None:
  """Parses as `parse`, always to float64: any decimal form, more slowly."""
  # NumPy would also accept nan, inf and hexadecimal numbers.
  if (
    line.translate(None, b"0123456789+-.eE ")
    or b"  " in line
    or line[:1] in (b" ", b"")
    or line[-1:] == b" "
  ):
    return None
  with warnings.catch_warnings():
    # NumPy deprecates to stop at a wrong number; the count shows it.
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
      numbers = np.fromstring(line, np.float64, sep=" ")
    except ValueError:
      return None
  # Each token begins with a number, and none holds two: 1-2 would be.
  return numbers if len(numbers) == line.count(b" ") + 1 else None


def _with_zeros(line: bytes) -> bytes:
  """Pads a few shorter numbers to five decimals, such as counters."""
  text = np.frombuffer(line, np.uint8)
  ends = np.append(np.flatnonzero(text == ord(" ")), len(text))
  lengths = np.diff(ends, prepend=-1)  # with the space before
  short = np.flatnonzero((lengths > 1) & (lengths < 9))
  if not len(short):
    return line
  firsts = text.take(ends[short] - lengths[short] + 1, mode="clip")
  short = short[(lengths[short] < 8) | (firsts == ord("-"))]
  pieces, done = [], 0
  for end in ends[short[: len(ends) // 8]].tolist():
    token = line[line.rfind(b" ", 0, end) + 1 : end]
    if not _SHORT.fullmatch(token):
      return line
    pieces += [line[done:end], b"0" * (7 + (token[:1] == b"-") - len(token))]
    done = end
  return b"".join([*pieces, line[done:]])


def _parse_words(line: bytes) -> np.ndarray | None:
  """Numbers [M] float32; None if any has another form than `-0.12345`."""
  out = np.empty(len(line) // 8 + 1, np.float32)
  count = minus = 0
  for start in range(0, len(line) + 1, _STEP):
    part = [line[start - 8 : start] or b" " * 8, line[start : start + _STEP]]
    if start + _STEP > len(line):
      part += [b" ", b"0" * (-(len(line) + 1) % 8)]
    text = np.frombuffer(b"".join(part), np.uint8)
    ends = text[8:] == ord(" ")
    dashes = text == ord("-")
    if (dashes[1:] & dashes[:-1]).any():
      return None
    minus += np.count_nonzero(dashes[8:])
    # Numbers are so long that no word contains the ends of two.
    marks = ends.view("<u8")
    at = np.flatnonzero(marks != 0)
    if len(at) != np.count_nonzero(ends):
      return None
    # The eight bytes before an end, from its word and the previous one.
    words = text.view("<u8")
    shift = marks * _SHIFTS
    shift >>= np.uint64(56)
    number = words[:-1] >> shift
    number |= words[1:] << np.subtract(np.uint64(64), shift, out=shift)
    number = number.take(at, mode="clip")
    digits = number ^ _FORM
    over = digits + _CARRY
    over |= digits
    if np.bitwise_or.reduce(over) & _HIGH:
      return None
    values = out[count : count + len(at)]
    np.divide(_joined(digits), np.float32(1e5), out=values)
    # A minus is odd and a space is even: the sign bit.
    values.view("<u4")[:] |= number.view("<u4")[::2] << np.uint32(31)
    count += len(at)
  # Only a space and a minus may precede a number: lengths must add up.
  return out[:count] if 8 * count + minus == len(line) + 1 else None


def _joined(digits: np.ndarray) -> np.ndarray:
  """Joins the six digits of words of a sign, digit, 0 and five digits.

  First pairs of digits are joined, then pairs of pairs, then both halves.
  """
  joined = digits & _UNIT
  joined <<= np.uint64(8)  # next to the others, in place of the point
  joined |= digits & _REST
  joined *= _JOINTS[0]
  joined >>= np.uint64(8)
  joined &= _PAIRS
  joined *= _JOINTS[1]
  joined >>= np.uint64(16)
  joined &= _FOURS
  joined *= _JOINTS[2]
  return joined.view("<i4")[1::2].astype(np.float32)
