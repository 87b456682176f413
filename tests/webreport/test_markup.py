"""What is no markup stays none."""

from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from mediaref_tools.plaintext import printable
from mediaref_tools.webreport.markup import Markup, element, joined
from tests.webreport.reading import Page


def test_elements() -> None:
    inner = element("b", "1 < 2", class_="x", data_label='a"b', id=None)
    assert inner == '<b class="x" data-label="a&quot;b">1 &lt; 2</b>'
    assert element("p", inner, " & more") == f"<p>{inner} &amp; more</p>"
    assert element("img", src="data:,", name="n") == '<img src="data:," name="n"/>'
    assert isinstance(joined([inner, "x"]), Markup)


@given(st.text(), st.text())
def test_any_text_is_text(content: str, value: str) -> None:
    made = element("p", content, title=value)
    Page(f"<!doctype html>\n{made}")  # one element, closed
    title, _, text = made.removeprefix('<p title="').removesuffix("</p>").partition('">')
    assert not {"<", ">", '"'} & set(title + text)
    assert (unescape(title), unescape(text)) == (printable(value), printable(content))
    made.encode("utf-8")
