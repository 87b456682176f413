"""What a page looks like: light and dark, on wide and narrow screens, and on paper."""

from __future__ import annotations

from mediaref_tools.webreport.markup import Markup, element, joined

__all__ = ["document"]

# Nothing is loaded from anywhere, whatever a page holds.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --sheet: #f6f8fa; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --grid: #e6eaef;
  --ours: #0a7d55; --peer: #9aa4b0; --warn: #9a6700; --bad: #cf222e; --curve: #0a7d55; --link: #0969da;
  --good-sheet: #e9f6f0; --warn-sheet: #fff8e0; --bad-sheet: #ffecea; --gap: #59636e24;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0d1117; --sheet: #161b22; --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --grid: #262c36;
    --ours: #3fb98a; --peer: #5c6670; --warn: #e3b341; --bad: #ff7b72; --curve: #3fb98a; --link: #58a6ff;
    --good-sheet: #0f2a20; --warn-sheet: #2b230c; --bad-sheet: #331415; --gap: #9198a12e;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
}
main, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
main { padding-top: 32px; }
footer { padding-top: 24px; padding-bottom: 40px; color: var(--soft); font-size: 13px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h1.log { margin-top: 64px; padding-top: 20px; border-top: 3px solid var(--line); }
h2 { font-size: 20px; margin: 40px 0 12px; padding-bottom: 6px; border-bottom: 1px solid var(--line); }
h3 { font-size: 16px; margin: 32px 0 8px; }
h4 { font-size: 14px; margin: 20px 0 8px; }
p { margin: 0 0 12px; }
a { color: var(--link); }
.soft, small { color: var(--soft); }
.path { color: var(--soft); margin-bottom: 20px; }
.verdict {
  border-left: 5px solid var(--ours); background: var(--good-sheet); border-radius: 6px; padding: 14px 18px;
  margin-bottom: 20px;
}
.verdict p { margin: 0; }
.verdict .headline { font-size: 18px; font-weight: 600; }
.verdict .notes { margin: 8px 0 0; }
.verdict.warn { border-color: var(--warn); background: var(--warn-sheet); }
.verdict.bad { border-color: var(--bad); background: var(--bad-sheet); }
summary { cursor: pointer; color: var(--soft); margin-top: 4px; }
.notes { margin: 0 0 12px; padding-left: 20px; }
.notes li { margin: 2px 0; }
.notes li::marker { color: var(--soft); }
.notes.warn li::marker { color: var(--warn); } .notes.bad li::marker { color: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 16px 0 28px; }
.figures div { background: var(--sheet); border-radius: 6px; padding: 12px 14px; }
.figures dt { color: var(--soft); font-size: 13px; }
.figures dd { margin: 0; font-size: 18px; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.4; }
.figures small { display: block; font-size: 13px; font-weight: 400; line-height: 1.4; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; }
table { width: 100%; border-collapse: collapse; margin: 0 0 20px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: 13px; font-weight: 600; color: var(--soft); white-space: nowrap; }
th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
thead th { border-color: var(--line); }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; }
td.number { white-space: nowrap; }
figure { margin: 0 0 24px; break-inside: avoid; }
figcaption { font-size: 14px; margin-bottom: 8px; }
.bar { display: grid; grid-template-columns: minmax(120px, 36%) 1fr; column-gap: 16px; margin: 8px 0; font-size: 13px; }
.bar .name { grid-row: span 2; align-self: center; }
.bar .row { grid-column: 2; display: flex; align-items: center; gap: 8px; line-height: 18px; }
.bar .track { flex: 1; height: 12px; }
.bar .fill { display: block; height: 100%; min-width: 2px; border-radius: 2px; }
.bar .size { width: 64px; color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.before { background: var(--peer); } .after { background: var(--ours); }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 2px; vertical-align: -1px; }
.axes { position: relative; height: 210px; margin: 14px 60px 34px 44px; border-bottom: 1px solid var(--line); }
.axes svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.axes path { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
.axes .grid { stroke: var(--grid); } .axes .gap { fill: var(--gap); }
.axes .curve { stroke: var(--curve); stroke-width: 1.5; }
.axes .p1 { stroke: var(--soft); stroke-dasharray: 2 4; }
.axes .floor { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 7 4; }
.axes span, .axes a { position: absolute; font-size: 12px; line-height: 16px; white-space: nowrap; }
.axes .tick { color: var(--soft); font-variant-numeric: tabular-nums; }
.axes .y { right: 100%; margin-right: 8px; transform: translateY(50%); }
.axes .x { top: 100%; margin-top: 6px; transform: translateX(-50%); }
.axes .line { left: 100%; margin-left: 12px; color: var(--soft); font-variant-numeric: tabular-nums; }
.axes .under { transform: translateY(100%); }
.axes .asked { color: var(--bad); }
.axes .mark, .strip .number {
  display: inline-block; width: 18px; height: 18px; border-radius: 9px; background: var(--ink); color: var(--paper);
  font-size: 11px; font-weight: 600; line-height: 18px; text-align: center; text-decoration: none;
}
.axes .mark { transform: translate(-50%, 50%); }
.strip .number { margin-right: 8px; }
.strip { padding-top: 4px; scroll-margin-top: 8px; border-radius: 6px; }
.strip:target { outline: 2px solid var(--link); outline-offset: 6px; }
.pictures { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; }
.picture img { display: block; width: 100%; height: auto; background: var(--sheet); border-radius: 4px; }
.picture .small { max-width: 260px; image-rendering: pixelated; }
.picture span, .strip p { font-size: 13px; }
@media (max-width: 720px) {
  body { font-size: 14px; }
  main, footer { padding-left: 16px; padding-right: 16px; }
  .figures { grid-template-columns: repeat(auto-fit, minmax(135px, 1fr)); }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: 8px; }
  .bar { grid-template-columns: 1fr; } .bar .row { grid-column: 1; }
  .pictures { grid-template-columns: 1fr; }
  thead { display: none; }
  tr { display: block; padding: 8px 0; border-bottom: 1px solid var(--line); }
  td, td.number {
    display: flex; justify-content: space-between; gap: 16px; padding: 2px 0; border: 0; white-space: normal;
  }
  td::before { content: attr(data-label); color: var(--soft); flex: none; }
  td span { text-align: right; }
  td:first-child { font-weight: 600; }
  td:first-child::before { content: none; }
  td:first-child span { text-align: left; }
}
@media print {
  :root { color-scheme: light; }
  body { font-size: 11px; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  main, footer { max-width: none; padding: 0; }
  h2, h3, h4 { break-after: avoid; }
  .axes { height: 150px; }
}
"""


def document(title: str, main: Markup, footer: str) -> str:
    """A whole page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(_STYLE)),
    )
    body = element("body", element("main", main), element("footer", footer))
    return f"<!doctype html>\n{element('html', joined([head, body]), lang='en')}\n"
