"use strict";
// Small line charts as SVG, without a library: points in their order, each with an interval where there is one.

const SIZE = { width: 360, height: 200, left: 44, right: 12, top: 10, bottom: 44 };
const MOST_LABELS = 6;

/** Make an SVG element. */
function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Return lower end, upper end and ticks of an axis around some values, both ends round numbers. */
function scale(values, floor, ceiling) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * 0.1;
  low = Math.max(low - room, floor);
  high = Math.min(high + room, ceiling);
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let at = Math.floor(low / step); at <= Math.ceil(high / step - 1e-9); at += 1) ticks.push(at * step);
  return { low: ticks[0], high: ticks[ticks.length - 1], ticks };
}

/**
 * Draw a chart.
 *
 * points: [{ name, value, low, high, refused, tip }]; those without a value are left out.
 * along: what the points' names are. form: value -> text. ceiling: what no value passes; none is below 0.
 */
function chart(title, along, points, form, ceiling = Infinity) {
  const known = points.filter((point) => point.value !== null && point.value !== undefined);
  const caption = document.createElement("figcaption");
  caption.textContent = title;
  const figure = document.createElement("figure");
  figure.append(caption);
  if (!known.length) {
    const none = document.createElement("p");
    none.className = "soft";
    none.textContent = "Nothing measured yet.";
    figure.append(none);
    return figure;
  }
  const axis = scale(known.flatMap((point) => [point.value, point.low ?? point.value, point.high ?? point.value]), 0, ceiling);
  const inner = { width: SIZE.width - SIZE.left - SIZE.right, height: SIZE.height - SIZE.top - SIZE.bottom };
  const x = (index) => SIZE.left + (known.length === 1 ? 0.5 : index / (known.length - 1)) * (inner.width - 24) + 12;
  const y = (value) => SIZE.top + (1 - (value - axis.low) / (axis.high - axis.low || 1)) * inner.height;
  const said = known.map((point) => `${point.name}: ${form(point.value)}`).join(", ");
  const picture = draw("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": `${title}. ${said}` });
  for (const tick of axis.ticks) {
    picture.append(draw("line", { class: "axis", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y(tick), y2: y(tick) }));
    picture.append(draw("text", { x: SIZE.left - 6, y: y(tick) + 4, "text-anchor": "end" }, form(tick)));
  }
  const line = known.map((point, index) => [point, index]).filter(([point]) => !point.refused);
  picture.append(draw("polyline", { class: "line", points: line.map(([point, index]) => `${x(index)},${y(point.value)}`).join(" ") }));
  const every = Math.ceil(known.length / MOST_LABELS);
  known.forEach((point, index) => picture.append(mark(point, x(index), y), ...under(point, x(index), index % every === 0)));
  picture.append(draw("text", { x: SIZE.left + inner.width / 2, y: SIZE.height - 4, "text-anchor": "middle" }, along));
  figure.append(picture);
  return figure;
}

/** Draw a point with its interval; what is said of it shows when it is pointed at. */
function mark(point, x, y) {
  const kind = point.refused ? " refused" : "";
  const group = draw("g", {}, draw("title", {}, point.tip));
  if (point.low !== null && point.low !== undefined) {
    group.append(draw("line", { class: `bar${kind}`, x1: x, x2: x, y1: y(point.low), y2: y(point.high) }));
  }
  group.append(draw("circle", { class: `dot${kind}`, cx: x, cy: y(point.value), r: 4 }));
  return group;
}

function under(point, x, shown) {
  if (!shown) return [];
  return [draw("text", { x, y: SIZE.height - 22, "text-anchor": "middle" }, point.name)];
}
