// Zoom and values at the pointer. Without script the page shows the whole pictures.
(() => {
  "use strict";
  const MOST_TICKS = 10, LEAST_SPAN = 1000, ARROWS = 8;
  const pictures = [...document.querySelectorAll("svg.xray")].map((svg) => ({
    svg,
    end: Number(svg.dataset.end),
    left: Number(svg.dataset.left),
    width: Number(svg.dataset.plot),
    kinds: svg.dataset.kinds.split("|"),
    requests: svg.dataset.requests.split("|"),
    time: svg.querySelector(".time"),
    axis: svg.querySelector(".axis"),
  }));
  if (!pictures.length) return;
  // All pictures have one time axis.
  const END = pictures[0].end;
  const view = { from: 0, to: END };

  const element = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const shape = (svg, name, attributes, ...children) => {
    const made = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // Times with three digits and a unit, by the rules of units.rs.
  const time = (nanoseconds) => {
    const [factor, name] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]
      .find(([factor]) => nanoseconds >= factor * 0.9995) ?? [1e3, "µs"];
    const value = nanoseconds / factor;
    return `${value.toFixed(value >= 99.95 || value === 0 ? 0 : value >= 9.995 ? 1 : 2)} ${name}`;
  };

  const ticks = () => {
    const [unit, name] = view.to >= 2e9 ? [1e9, "s"] : view.to >= 2e6 ? [1e6, "ms"] : [1e3, "µs"];
    let decade = 1, step;
    while (!(step = [1, 2, 5].map((n) => n * decade).find((n) => Math.floor((view.to - view.from) / n) <= MOST_TICKS))) {
      decade *= 10;
    }
    let decimals = 0;
    for (let whole = step; whole % unit !== 0; whole *= 10) decimals++;
    const made = [];
    for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
      made.push([at, at === 0 ? "0" : `${(at / unit).toFixed(decimals)} ${name}`]);
    }
    return made;
  };

  const draw = () => {
    const zoom = END / (view.to - view.from);
    for (const { svg, left, width, time: group, axis } of pictures) {
      const shift = -view.from / END * width * zoom;
      group.setAttribute("transform", `matrix(${zoom} 0 0 1 ${shift} ${ARROWS})`);
      svg.style.setProperty("--unzoom", 1 / zoom);
      const { text, top, bottom } = axis.dataset;
      axis.replaceChildren(...ticks().flatMap(([at, label]) => {
        const x = left + (at - view.from) / (view.to - view.from) * width;
        return [
          shape(svg, "line", { x1: x, x2: x, y1: top, y2: bottom, stroke: "#D8D9DA" }),
          shape(svg, "text", { x, y: text, "font-size": 11, fill: "#5B6068", "text-anchor": "middle" }, label),
        ];
      }));
    }
    whole.disabled = out.disabled = earlier.disabled = later.disabled = view.from === 0 && view.to === END;
  };

  const show = (from, to) => {
    const span = Math.min(Math.max(to - from, LEAST_SPAN), END);
    view.from = Math.min(Math.max(from, 0), END - span);
    view.to = view.from + span;
    draw();
  };
  const scale = (factor) => {
    const middle = (view.from + view.to) / 2, half = (view.to - view.from) / 2 * factor;
    show(middle - half, middle + half);
  };
  const move = (share) => {
    const by = (view.to - view.from) * share;
    show(view.from + by, view.to + by);
  };

  const button = (text, label, action) => {
    const made = element("button", { type: "button", "aria-label": label, title: label }, text);
    made.addEventListener("click", action);
    return made;
  };
  const out = button("−", "Zoom out", () => scale(2));
  const whole = button("whole", "Show the whole time", () => show(0, END));
  const earlier = button("◀", "Earlier", () => move(-0.5));
  const later = button("▶", "Later", () => move(0.5));
  const controls = element("div", { id: "controls" }, "Time ", earlier, later,
    button("+", "Zoom in", () => scale(0.5)), out, whole,
    element("span", {}, "or drag over a part of a picture; point at a block for its values"));
  document.getElementById("legend").after(controls);
  const tip = element("div", { id: "tip", role: "status", hidden: "" });
  document.body.append(tip);

  // Place and time at the pointer; bars below the axis have no time.
  const timeAt = ({ svg, left, width, axis }, event) => {
    const frame = svg.getBoundingClientRect(), factor = svg.viewBox.baseVal.width / frame.width;
    const x = (event.clientX - frame.left) * factor, y = (event.clientY - frame.top) * factor;
    const isTimed = x >= left && x <= left + width && y <= Number(axis.dataset.bottom);
    return { x, isTimed, at: view.from + (x - left) / width * (view.to - view.from) };
  };

  const focus = ({ svg }, request) => {
    for (const one of svg.querySelectorAll(".lit")) one.classList.remove("lit");
    svg.classList.toggle("focus", request !== "");
    if (request === "") return;
    for (const one of svg.querySelectorAll(`[data-s^="${request},"], [data-r="${request}"]`)) one.classList.add("lit");
  };

  const describe = (picture, target, at, isTimed) => {
    const lines = [];
    const step = target.closest("[data-s]"), row = target.closest("[data-r]");
    let request = "";
    if (step) {
      const [of, kind, count] = step.dataset.s.split(",");
      const { width } = step.getBBox();
      request = of;
      lines.push([picture.requests[of], picture.kinds[kind] ?? `${count ?? 1} actions`].filter(Boolean).join(": "));
      // Shorter blocks are drawn as wide as this.
      lines.push(`${width < 0.41 ? "at most " : ""}${time(width / picture.width * END)}`);
    } else if (row) {
      request = row.dataset.r;
      lines.push(row.dataset.title);
    } else {
      const title = target.closest("[data-title]")?.dataset.title;
      if (title) lines.push(title);
    }
    if (isTimed) lines.push(`at ${time(Math.max(at, 0))}`);
    return { lines, request };
  };

  for (const picture of pictures) {
    const { svg } = picture;
    // Titles are shown in the tip instead of by the browser.
    for (const title of svg.querySelectorAll("title")) {
      title.parentNode.dataset.title = title.textContent;
      title.remove();
    }
    let drag = null;
    svg.addEventListener("pointerdown", (event) => {
      const { x, at, isTimed } = timeAt(picture, event);
      if (event.button !== 0 || event.pointerType === "touch" || !isTimed) return;
      const box = shape(svg, "rect", { class: "select", x, y: 0, width: 0, height: "100%" });
      svg.append(box);
      drag = { x, at, box };
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    svg.addEventListener("pointermove", (event) => {
      const { x, at, isTimed } = timeAt(picture, event);
      if (drag) {
        drag.box.setAttribute("x", Math.min(x, drag.x));
        drag.box.setAttribute("width", Math.abs(x - drag.x));
        return;
      }
      const { lines, request } = describe(picture, event.target, at, isTimed);
      focus(picture, isTimed ? request : "");
      tip.hidden = !lines.length;
      tip.replaceChildren(...lines.map((line) => element("div", {}, line)));
      tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${event.clientY + 16}px`;
    });
    const end = (event) => {
      if (!drag) return;
      const { at } = timeAt(picture, event), from = drag.at, moved = Number(drag.box.getAttribute("width"));
      drag.box.remove();
      drag = null;
      if (event.type === "pointerup" && moved > 5) show(Math.min(from, at), Math.max(from, at));
    };
    svg.addEventListener("pointerup", end);
    svg.addEventListener("pointercancel", end);
    svg.addEventListener("pointerleave", () => { focus(picture, ""); tip.hidden = true; });
    svg.addEventListener("dblclick", () => show(0, END));
  }
  // Paper shows the whole time.
  let before = null;
  window.addEventListener("beforeprint", () => { before = { ...view }; show(0, END); });
  window.addEventListener("afterprint", () => { if (before) show(before.from, before.to); before = null; });
  draw();
})();
