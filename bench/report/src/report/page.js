// Interactive charts of a report: values at the pointer, hidden servers, other scales, values relative
// to one server. Without script the page shows the same charts as static pictures.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const hidden = new Set();
  const view = { scale: "as drawn", baseline: "", highlight: data.pair.length ? "pair" : "" };
  // Servers outside the compared pair are grey unless all are to have colours.
  const colourOf = (series) => view.highlight && !data.pair.includes(series.name) ? "var(--faint)" : series.colour;
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 66, RIGHT = 18, TOP = 10, BOTTOM = 50, NAMES = 116, GAP = 8;

  const element = (name, attributes, ...children) => {
    const made = name.startsWith("svg:")
      ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) {
      made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  // Numbers with three digits and a unit, by the rules and the scales of units.rs.
  const digits = (value) => {
    const size = Math.abs(value);
    return value.toFixed(size >= 99.95 || size === 0 ? 0 : size >= 9.995 ? 1 : 2);
  };
  const scaled = (value, scale) => {
    const [factor, name] = scale.find(([factor]) => Math.abs(value) >= factor * 0.9995) ?? scale.at(-1);
    return digits(value / factor) + name;
  };
  const write = (unit, value) => unit === "times" ? digits(value) + "×" : scaled(value, data.scales[unit]);
  // The label of its axis has the unit.
  const tick = (unit, value) => unit === "megabytes_per_s" ? digits(value) : write(unit, value);
  const short = (text) => text.replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");

  // Where a value lies on an axis, from 0 to 1.
  const PLACES = {
    linear: (value) => value,
    log: (value) => Math.log10(Math.max(value, 1e-300)),
    nines: (value) => -Math.log10(Math.max(1 - value / 100, 1e-9)),
  };
  const place = (axis, value) => {
    const at = PLACES[axis.scale];
    return (at(value) - at(axis.low)) / (at(axis.high) - at(axis.low));
  };

  const verticalAxis = (panel, values, unit) => {
    const scale = view.scale === "as drawn" ? panel.y.scale : view.scale;
    const all = values.filter((value) => value > 0 || scale === "linear");
    let most = Math.max(...all), least = Math.min(...all);
    if (!all.length) { most = 1; least = 0.1; }
    const text = (value) => short(tick(unit, value));
    if (scale === "linear") {
      // Bytes have round ticks in their own unit.
      const factor = unit !== "bytes" ? 1 : data.scales.bytes.find(([size]) => most >= size)?.[0] ?? 1;
      const rough = most / factor / 5, decade = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((n) => n * decade).find((n) => n >= rough) * factor;
      const count = Math.ceil(most * 1.02 / step);
      const ticks = Array.from({ length: count + 1 }, (_, n) => n * step);
      return { scale, low: 0, high: count * step, ticks, text };
    }
    const ladder = [];
    if (unit === "bytes") {
      // Powers of two, few enough to be read.
      const first = Math.floor(Math.log2(least)), last = Math.max(Math.ceil(Math.log2(most)), first + 1);
      const step = Math.floor((last - first) / 8) + 1;
      for (let power = first; power < last + step; power += step) ladder.push(2 ** power);
      return { scale, low: ladder[0], high: ladder.at(-1), ticks: ladder, text };
    }
    for (let decade = Math.floor(Math.log10(least)) - 1; decade <= Math.log10(most) + 1; decade++) {
      for (const n of [1, 2, 5]) ladder.push(n * 10 ** decade);
    }
    const low = ladder.filter((tick) => tick <= least * 0.97).pop() ?? least;
    const high = ladder.find((tick) => tick >= most * 1.03) ?? most;
    let ticks = ladder.filter((tick) => tick >= low && tick <= high);
    if (ticks.length > 9) {
      ticks = ticks.filter((tick) => Math.abs(Math.log10(tick) % 1) < 1e-9);
    }
    return { scale, low, high, ticks, text };
  };

  // The points of a panel, by their own unit or as multiples of the baseline's.
  const shownSeries = (panel) => {
    const visible = panel.series.filter((series) => !hidden.has(series.name));
    const base = panel.series.find((series) => series.name === view.baseline);
    if (!view.baseline) return visible;
    const under = new Map((base?.points ?? []).map((point) => [point.x, point.median]));
    // Servers with places of their own have no x value in common.
    const baseOf = (point) => panel.x.named ? base?.points[0]?.median : under.get(point.x);
    return visible.map((series) => ({
      ...series,
      points: series.points.filter((point) => baseOf(point) > 0).map((point) => {
        const by = baseOf(point), divided = (value) => value === null ? null : value / by;
        return { ...point, median: divided(point.median), low: divided(point.low),
          high: divided(point.high), rounds: point.rounds.map(divided) };
      }),
    }));
  };

  const marker = (series, x, y, hollow) => element("svg:polygon", {
    points: series.marker, transform: `translate(${x} ${y})`, stroke: colourOf(series),
    "stroke-width": 1.6, "stroke-linejoin": "round",
    fill: hollow ? "var(--paper)" : colourOf(series),
  });

  const drawPanel = (panel, left, width, height, nodes) => {
    const series = shownSeries(panel);
    const unit = view.baseline ? "times" : panel.y.unit;
    const values = series.flatMap(({ points }) => points.flatMap((point) =>
      [point.median, point.low, point.high, ...point.rounds].filter((value) => value !== null)));
    const y = verticalAxis(panel, values, unit);
    const inner = { left: left + LEFT, right: left + width - RIGHT, top: TOP, bottom: height - (panel.x.named ? NAMES : BOTTOM) };
    const toX = (value, shift) => inner.left
      + Math.min(Math.max(place(panel.x, value), 0), 1) * (inner.right - inner.left) + shift;
    const toY = (value) => inner.bottom
      - Math.min(Math.max(place(y, value), -0.02), 1) * (inner.bottom - inner.top);
    const label = (x, at, anchor, text) =>
      element("svg:text", { x, y: at, "text-anchor": anchor, class: "tick" }, text);
    const line = (x1, y1, x2, y2, name) => element("svg:line", { x1, y1, x2, y2, class: name });

    let last = -Infinity;
    for (const tick of panel.x.ticks) {
      const x = toX(tick.value, 0);
      nodes.push(line(x, inner.top, x, inner.bottom, "grid"));
      if (panel.x.named) {
        const at = inner.bottom + 8;
        nodes.push(element("svg:text", { x: x + 4, y: at, "text-anchor": "end", class: "tick",
          transform: `rotate(-90 ${x + 4} ${at})` }, tick.text));
        continue;
      }
      const wide = tick.text.length * 7 + 8;
      if (x - last >= wide) {
        const anchor = x + wide / 2 > inner.right + RIGHT ? "end" : "middle";
        nodes.push(label(anchor === "end" ? inner.right + RIGHT : x, inner.bottom + 18, anchor, tick.text));
        last = x;
      }
    }
    for (const tick of y.ticks) {
      nodes.push(line(inner.left, toY(tick), inner.right, toY(tick), "grid"));
      nodes.push(label(inner.left - 6, toY(tick) + 4, "end", y.text(tick)));
    }
    nodes.push(line(inner.left, inner.top, inner.left, inner.bottom, "axis"));
    nodes.push(line(inner.left, inner.bottom, inner.right, inner.bottom, "axis"));
    const middle = (inner.top + inner.bottom) / 2;
    if (!panel.x.named) nodes.push(element("svg:text", { x: (inner.left + inner.right) / 2,
      y: inner.bottom + 40, "text-anchor": "middle" }, panel.x.label));
    const name = view.baseline ? `${panel.y.label}, relative to ${view.baseline}` : panel.y.label;
    nodes.push(element("svg:text", { x: left + 14, y: middle, "text-anchor": "middle",
      transform: `rotate(-90 ${left + 14} ${middle})` }, name));

    const spread = panel.x.named || panel.x.scale === "nines" ? 0 : Math.min(6, (inner.right - inner.left) * 0.06 / series.length);
    const found = [], groups = [];
    series.forEach((one, index) => {
      const shift = (index - (series.length - 1) / 2) * spread;
      const group = element("svg:g", { "data-server": one.name });
      const at = one.points.map((point) => [toX(point.x, shift), toY(point.median)]);
      group.append(element("svg:polyline", { points: at.map((xy) => xy.join(",")).join(" "), fill: "none",
        stroke: colourOf(one), "stroke-width": 2, "stroke-dasharray": one.dashed ? "6 4" : "none" }));
      one.points.forEach((point, n) => {
        const [x, top] = at[n];
        if (point.low !== null && point.high > point.low) {
          group.append(element("svg:line", { x1: x, x2: x, y1: toY(point.low), y2: toY(point.high),
            stroke: colourOf(one), "stroke-width": 1 }));
        }
        for (const value of point.rounds) {
          group.append(element("svg:circle", { cx: x, cy: toY(value), r: 2, fill: colourOf(one), "fill-opacity": 0.45 }));
        }
        if (point.marked) group.append(marker(one, x, top, point.hollow));
        found.push({ x, y: top, series: one, point, panel, unit });
      });
      groups.push(group);
    });
    // The compared pair is drawn above the others.
    groups.sort((a, b) => data.pair.includes(a.dataset.server) - data.pair.includes(b.dataset.server));
    nodes.push(...groups);
    return found;
  };

  const tip = element("div", { id: "tip", role: "status", hidden: "" });
  const say = (found, event) => {
    if (!found) { tip.hidden = true; return; }
    const { series, point, panel, unit } = found;
    const text = (value) => write(unit, value);
    const exact = (value) => unit === "times" ? value.toFixed(3) + "×"
      : `${text(value)} (${value.toLocaleString("en", { maximumFractionDigits: 2 })})`;
    const lines = [[series.name, ""], [panel.y.label, exact(point.median)]];
    if (panel.x.named && point.low !== null) lines.push(["95 % interval", `${text(point.low)} to ${text(point.high)}`]);
    if (!panel.x.named) lines.splice(1, 0, [panel.x.label, point.text]);
    if (point.rounds.length) lines.push(["rounds", point.rounds.map(text).join(", ")]);
    if (point.hollow) lines.push(["hollow", "see below the chart"]);
    tip.replaceChildren(...lines.map(([name, value], n) => n === 0
      ? element("strong", { style: `color:${series.colour}` }, name)
      : element("div", {}, element("span", {}, name), " ", value)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const x = Math.min(event.clientX + 14, document.documentElement.clientWidth - box.width - 8);
    const below = event.clientY + 14 + box.height < window.innerHeight;
    tip.style.left = `${Math.max(8, x)}px`;
    tip.style.top = `${below ? event.clientY + 14 : event.clientY - 14 - box.height}px`;
  };

  const drawFigure = (figure, chart) => {
    const width = Math.max(300, chart.clientWidth), narrow = width < 620;
    const many = figure.panels.some((panel) => panel.series.length > 6);
    const height = many ? 420 : 340;
    const columns = narrow ? 1 : figure.panels.length;
    const rows = Math.ceil(figure.panels.length / columns);
    const svg = element("svg:svg", { width, height: rows * height, class: "live", role: "img",
      "aria-label": figure.title, viewBox: `0 0 ${width} ${rows * height}` });
    const found = [];
    figure.panels.forEach((panel, index) => {
      const row = Math.floor(index / columns), column = index % columns;
      const nodes = [], wide = width / columns;
      const points = drawPanel(panel, column * wide + (column ? GAP : 0), wide - (column ? GAP : 0), height, nodes);
      svg.append(element("svg:g", { transform: `translate(0 ${row * height})` }, ...nodes));
      found.push(...points.map((point) => ({ ...point, y: point.y + row * height })));
    });
    const nearest = (event) => {
      const box = svg.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const distance = (point) => Math.hypot(point.x - x, point.y - y);
      const best = found.reduce((best, point) => !best || distance(point) < distance(best) ? point : best, null);
      return best && distance(best) < 40 ? best : null;
    };
    svg.addEventListener("pointermove", (event) => say(nearest(event), event));
    svg.addEventListener("pointerdown", (event) => say(nearest(event), event));
    svg.addEventListener("pointerleave", () => say(null));
    chart.replaceChildren(svg);
  };

  const charts = data.figures.map((figure) => {
    const still = document.getElementById(figure.id);
    const chart = element("div", { class: "chart" });
    still.replaceWith(chart);
    chart.before(element("h4", {}, figure.title), element("p", { class: "conditions" }, figure.subtitle));
    const legend = element("div", { class: "legend" });
    chart.after(legend);
    return { figure, chart, legend };
  });

  const sample = (series) => element("svg:svg", { width: 30, height: 14, viewBox: "0 0 30 14", "aria-hidden": "true" },
    element("svg:line", { x1: 1, x2: 29, y1: 7, y2: 7, stroke: colourOf(series), "stroke-width": 2,
      "stroke-dasharray": series.dashed ? "6 4" : "none" }), marker(series, 15, 7, false));

  const chip = (series) => {
    const button = element("button", { type: "button", class: "chip",
      "data-toggle": series.name, title: `Show or hide ${series.name} everywhere` }, sample(series), series.name);
    button.addEventListener("click", () => {
      if (!hidden.delete(series.name)) hidden.add(series.name);
      refresh();
    });
    return button;
  };
  const drawLegend = ({ figure, legend }) => {
    const seen = new Map(figure.panels.flatMap((panel) => panel.series).map((series) => [series.name, series]));
    legend.replaceChildren(...[...seen.values()].map(chip));
  };
  for (const { figure, legend } of charts) {
    const hollow = figure.panels.some((panel) =>
      panel.series.some((series) => series.points.some((point) => point.hollow)));
    if (hollow) legend.after(element("p", { class: "hollow" }, `hollow: ${figure.hollow_means}`));
  }

  const choice = (name, options, take) => {
    const select = element("select", { name }, ...options.map(([value, text]) => element("option", { value }, text)));
    select.addEventListener("change", () => { take(select.value); refresh(); });
    return select;
  };
  const controls = element("div", { id: "controls" },
    element("label", {}, "Scale ", choice("scale",
      [["as drawn", "as drawn"], ["linear", "linear"], ["log", "logarithmic"]], (value) => { view.scale = value; })),
    element("label", {}, "Values ", choice("baseline",
      [["", "measured"], ...data.servers.map((name) => [name, `relative to ${name}`])], (value) => { view.baseline = value; })));
  if (data.pair.length) {
    controls.append(element("label", {}, "Colours ", choice("highlight",
      [["pair", data.pair.join(" and ")], ["", "all servers"]], (value) => { view.highlight = value; })));
  }
  const all = element("button", { type: "button", name: "all" }, "show all servers");
  all.addEventListener("click", () => { hidden.clear(); refresh(); });
  controls.append(all);
  document.getElementById("experiments").before(controls);
  document.body.append(tip);

  function refresh() {
    say(null);
    for (const one of charts) {
      drawFigure(one.figure, one.chart);
      drawLegend(one);
    }
    for (const button of document.querySelectorAll("[data-toggle]")) {
      button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.toggle)));
    }
    for (const row of document.querySelectorAll("tr[data-server]")) row.hidden = hidden.has(row.dataset.server);
    all.hidden = hidden.size === 0;
  }
  document.documentElement.classList.add("scripted");
  refresh();
  let resizing = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(refresh);
  });
  // Charts in folded parts have no width until they are opened.
  for (const folded of document.querySelectorAll("details.more")) folded.addEventListener("toggle", refresh);
  // Paper has a width of its own, and nothing to unfold.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
    refresh();
  });
  window.addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
    folded = [];
  });
})();
