"""Parts that all pages share: escaping, tables, and plots in their colours."""

import re
from xml.etree import ElementTree

import jinja2
import numpy as np
import pytest

from signllm_jax.visualization import pages, themed_plots

TABLE = """
{% from "parts.html.j2" import prose, table %}
{{ prose(text) }}{{ table("Caption", ["a", "b", "c", "d"], rows) }}
"""


def render(**values) -> str:
  environment = pages._environment("signllm_jax.evaluation.report")
  return environment.from_string(TABLE).render(values)


def test_cells_and_escaping():
  row = ("<b>", 1234, pages.Number("0.5", "[0, 1]"), pages.Bar(0.25))
  page = render(text="one & two\n\n<i>three", rows=[row])
  assert "<p>one &amp; two</p>\n<p>&lt;i&gt;three</p>" in page
  assert '<th scope="row" dir="auto">&lt;b&gt;</th>' in page
  assert '<td class="n" dir="auto">1,234</td>' in page
  assert '<td class="n" dir="auto">0.5<small>[0, 1]</small></td>' in page
  assert '<td class="bar"><div style="width:25.0%"></div></td>' in page
  assert page.count('<th scope="col" class="n">') == 2
  assert 'aria-label="Caption"' in page


def test_missing_value_is_an_error():
  with pytest.raises(jinja2.UndefinedError, match="rows"):
    render(text="")


def figure(colour: str):
  plot, axes = themed_plots.new_figure(2.0)
  axes.plot(np.arange(3), color=colour)
  axes.set_title("<b> & $x$")
  return plot


def test_plot_takes_the_colours_of_the_page():
  with themed_plots.style():
    svg = themed_plots.to_svg(figure(themed_plots.SERIES[1]), "A <title>")
    again = themed_plots.to_svg(figure(themed_plots.SERIES[1]), "A <title>")
  assert svg == again
  assert svg.__html__() == svg  # not escaped again
  assert "<title>A &lt;title&gt;</title>" in svg
  assert "var(--series-1)" in svg and "<style" not in svg
  assert not re.search(r"(fill|stroke|color): *#", svg)


def test_plot_as_a_file_holds_its_colours():
  with themed_plots.style():
    text = themed_plots.to_svg_file(figure(themed_plots.INK), "Curves")
  used = set(re.findall(r"var\((--[\w-]+)\)", text))
  assert used <= set(re.findall(r"(--[\w-]+):", text))
  assert "prefers-color-scheme: dark" in text
  assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
