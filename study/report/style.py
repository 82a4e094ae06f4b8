"""The report's style sheet: phone first, light and dark by the reader's setting, and paper."""

CSS = """
:root { color-scheme: light dark; --bg:#fff; --fg:#1b1f24; --dim:#5b6470; --line:#d5dae0; --card:#f4f6f8;
  --accent:#0b63c5; --completed:#157f3b; --running:#0b7285; --diverged:#a61e9c; --failed:#c92a2a;
  --fell0:#a9c3dd; --fell1:#7ba6d0; --fell2:#4c88bf; --fell3:#2b6aa6; --fell4:#174d82; --stopped:#7d8a98;
  --q0:#0a6b2d; --q1:#4aa564; --q2:#a6b8ab; --q3:#d8a48f; --q4:#c96a4a; }
@media (prefers-color-scheme: dark) { :root { --bg:#14171b; --fg:#e4e8ec; --dim:#9aa5b1; --line:#343b44;
  --card:#1e2329; --accent:#6db3ff; --completed:#4cc274; --running:#45c1d6; --diverged:#e27bd9; --failed:#ff7b72;
  --fell0:#56718d; --fell1:#5580aa; --fell2:#5a8fc2; --fell3:#7fb0dd; --fell4:#aed0f0; --stopped:#8593a2;
  --q0:#59d982; --q1:#3f9a5d; --q2:#5f6f66; --q3:#8a5c49; --q4:#d0714f; } }
* { box-sizing: border-box; }
body { margin:0 auto; max-width:1120px; padding:16px; background:var(--bg); color:var(--fg);
  font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap:anywhere; }
h1 { font-size:1.6rem; margin:.4em 0 0; }
h2 { font-size:1.25rem; margin:2.2em 0 .3em; padding-top:.6em;
  border-top:1px solid var(--line); }
h3 { font-size:1rem; margin:1.6em 0 .3em; }
p { margin:.4em 0; max-width:75ch; }
.dim, figcaption { color:var(--dim); font-size:.875rem; }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(150px,1fr)); gap:10px; margin:16px 0; }
.card { background:var(--card); border-radius:8px; padding:10px 14px; }
.card b { display:block; font-size:1.35rem; line-height:1.3; }
.card span { display:block; color:var(--dim); font-size:.82rem; line-height:1.35; }
.warn { border-left:4px solid var(--failed); padding-left:10px; }
.scroll { overflow-x:auto; margin:.6em 0; }
table { border-collapse:collapse; font-size:.875rem; font-variant-numeric:tabular-nums; }
th, td { padding:4px 10px; border-bottom:1px solid var(--line); text-align:left; vertical-align:top;
  overflow-wrap:normal; }
td.right, th.right { text-align:right; white-space:nowrap; }
th { color:var(--dim); font-weight:600; vertical-align:bottom; }
th.right { white-space:normal; min-width:4.5em; }
td.left { min-width:8.5em; }
td.left:last-child { min-width:15em; }
code, pre { font:.85em/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { overflow-x:auto; }
.two { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr)); gap:16px;
  align-items:start; }
.small3 { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,250px),1fr)); gap:12px; }
figure { margin:0; }
.one { max-width:560px; }
.chart { max-width:900px; }
svg { display:block; width:100%; height:auto; }
.pictures { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(45%,280px),1fr)); gap:14px; }
.pictures img { width:100%; max-width:560px; display:block; border-radius:4px; image-rendering:pixelated; }
svg text { fill:var(--fg); font:13px system-ui, "DejaVu Sans", sans-serif; }
svg .small, .small3 svg text { font-size:11px; }
svg .middle { text-anchor:middle; }
svg .end { text-anchor:end; }
svg .name, svg text.small { fill:var(--dim); }
svg .halo { paint-order:stroke; stroke:var(--bg); stroke-width:4px; stroke-linejoin:round; }
.axis { stroke:var(--dim); fill:none; }
.grid { stroke:var(--line); fill:none; }
.rung { stroke:var(--dim); stroke-dasharray:2 4; fill:none; }
.line { fill:none; stroke:var(--c); stroke-width:1.4; stroke-linejoin:round; stroke-linecap:round; opacity:.85; }
.line:hover { stroke-width:4; opacity:1; }
.line.many { opacity:.28; stroke-width:1; }
.line.winner { stroke-width:3; opacity:1; --c:var(--accent); }
.dots { fill:none; stroke:var(--c); stroke-width:6; stroke-linecap:round; opacity:.75; }
.dots.many { stroke-width:4; opacity:.4; }
.dots.best { stroke-width:11; opacity:1; }
.cross { fill:none; stroke:var(--c); stroke-width:1.6; }
.bar { fill:var(--accent); }
.quartiles { stroke-width:14; opacity:.18; stroke-linecap:butt; --c:var(--accent); }
.median { stroke-width:3; --c:var(--accent); }
.completed { --c:var(--completed); }
.best { --c:var(--accent); }
.stopped { --c:var(--stopped); }
.running, .interrupted { --c:var(--running); }
.diverged { --c:var(--diverged); }
.failed { --c:var(--failed); }
.fell0 { --c:var(--fell0); }
.fell1 { --c:var(--fell1); }
.fell2 { --c:var(--fell2); }
.fell3 { --c:var(--fell3); }
.fell4 { --c:var(--fell4); }
.q0 { --c:var(--q0); }
.q1 { --c:var(--q1); }
.q2 { --c:var(--q2); }
.q3 { --c:var(--q3); }
.q4 { --c:var(--q4); }
.legend { display:flex; flex-wrap:wrap; gap:4px 16px; font-size:.85rem; color:var(--dim); margin:.3em 0; }
.legend i { display:inline-block; width:18px; height:4px; border-radius:2px; background:var(--c); margin-right:6px;
  vertical-align:middle; }
details { margin:.8em 0; }
summary { cursor:pointer; color:var(--accent); }
@media (max-width:640px) { .chart { overflow-x:auto; }
.chart svg.wide { width:1000px; }
  svg.curves text { font-size:21px; }
svg.curves .small { font-size:17px; }
body { padding:12px; } }
@media print { body { max-width:none; font-size:11px; }
.chart, .scroll { overflow:visible; }
figure, svg, tr
  { break-inside:avoid; }
h2, h3 { break-after:avoid; } }
"""
