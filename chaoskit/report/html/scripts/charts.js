"use strict";
// Charts by uPlot: distributions, and what the kernel told over time. report/html/plots.py says what is in them.

const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 2], [1, 4]];

/** Draws the chart that `spec` describes into `place`; with a view its time follows that of the others. */
function drawChart(place, spec, run, view, theme) {
  const size = () => ({
    width: theme.isPrinted ? PAPER : Math.max(200, place.clientWidth),
    height: innerWidth < 640 ? 190 : spec.height,
  });
  const options = {
    ...size(),
    legend: { live: true },
    padding: [8, RIGHT, 0, 0],
    cursor: { points: { show: false }, drag: { x: Boolean(view), y: false, setScale: Boolean(view) } },
    scales: { x: scaleOf(spec, view), y: { range: rangeOf(spec) } },
    axes: [xAxis(spec, theme), yAxis(spec, theme)],
    series: [{ label: spec.xLabel, value: (_, each) => xValue(spec, each) }],
    bands: [],
    hooks: { drawClear: [(chart) => shade(chart, spec, run, theme)] },
  };
  const columns = [spec.x];
  for (const line of spec.lines) {
    columns.push(line.y);
    options.series.push(seriesOf(line, spec, theme));
    if (line.low) {
      const color = () => `${theme.color(line.color)}2e`;
      columns.push(line.high, line.low);
      options.series.push(edge(theme, line), edge(theme, line));
      options.bands.push({ series: [columns.length - 2, columns.length - 1], fill: color });
    }
  }
  const chart = new uPlot(options, columns, place);
  hideEdges(place, spec);
  if (view) follow(chart, place, view);
  theme.onChange(() => {
    chart.setSize(size());
    chart.redraw(false);
  });
  new ResizeObserver(() => chart.setSize(size())).observe(place);
  return chart;
}

function scaleOf(spec, view) {
  if (view) return { time: false, min: view.begin, max: view.end };
  return { time: false, distr: spec.log ? 3 : 1, range: [spec.x[0], spec.x[spec.x.length - 1]] };
}

function rangeOf(spec) {
  if (spec.unit === "share") return [0, 1];
  return (_, low, high) => [0, Math.max(high ?? 0, spec.least) * 1.06];
}

function axis(theme, values, space) {
  return {
    stroke: () => theme.color("muted"),
    grid: { stroke: () => theme.color("grid"), width: 1 },
    ticks: { stroke: () => theme.color("grid"), width: 1, size: 5 },
    font: "12px system-ui, sans-serif",
    space,
    values: (_, splits) => values(splits),
    size: 34,
  };
}

function xAxis(spec, theme) {
  const found = axis(theme, (splits) => splits.map((each) => xLabel(spec, each)), 90);
  if (!spec.log) return found;
  return { ...found, filter: (_, splits) => splits, splits: () => roundNumbers(spec.x[0], spec.x[spec.x.length - 1]) };
}

function yAxis(spec, theme) {
  return { ...axis(theme, (splits) => splits.map((each) => yLabel(spec, each)), 34), size: GUTTER };
}

function xValue(spec, value) {
  if (value == null) return "–";
  return spec.log ? duration(value / 1000) : moment(value);
}

function xLabel(spec, value) {
  if (value == null) return "";
  return spec.log ? duration(value / 1000) : `${Number(value.toFixed(4))} s`;
}

/** Where a logarithmic axis has labels: at 1, 10, 100, ..., with fewer decades also at 2 and 5, or at each digit. */
function roundNumbers(low, high) {
  const decades = Math.log10(high / low);
  const digits = decades > 2.2 ? [1] : decades > 0.8 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    found.push(...digits.map((digit) => digit * 10 ** power));
  }
  return found.filter((each) => each >= low && each <= high);
}

function yLabel(spec, value) {
  if (value == null) return "–";
  switch (spec.unit) {
    case "share": return `${Math.round(value * 100)} %`;
    case "ms": return value ? duration(value / 1000) : "0";
    case "bytes": return value >= 1000 ? `${digits(value / 1000)} kB` : `${digits(value)} B`;
    default: return digits(value);
  }
}

function seriesOf(line, spec, theme) {
  const stroke = () => theme.color(line.color);
  const value = (_, each) => yLabel(spec, each);
  const shown = { label: line.label, stroke, value, spanGaps: true };
  if (line.as === "points") {
    return { ...shown, width: 0, paths: () => null, points: { show: true, size: 4, width: 1, stroke, fill: stroke } };
  }
  if (line.as === "bars") {
    const fill = () => `${theme.color(line.color)}b0`;
    return { ...shown, width: 0, fill, points: { show: false }, paths: uPlot.paths.bars({ size: [0.9, 100], align: 1 }) };
  }
  const paths = line.as === "steps" ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear();
  return { ...shown, width: 2, dash: DASHES[line.dash ?? 0], points: { show: false }, paths };
}

function edge(theme, line) {
  const stroke = () => `${theme.color(line.color)}70`;
  return { label: "", stroke, width: 0.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) };
}

/** The edges of bands have no rows in the legend. */
function hideEdges(place, spec) {
  const rows = place.querySelectorAll(".u-legend .u-series");
  let row = 1;
  for (const line of spec.lines) {
    row += 1;
    if (!line.low) continue;
    rows[row].hidden = true;
    rows[row + 1].hidden = true;
    row += 2;
  }
}

/** The windows of faults behind a chart over time. */
function shade(chart, spec, run, theme) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.fillStyle = theme.color("plot");
  ctx.fillRect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  if (spec.overTime) {
    ctx.fillStyle = theme.color("fault");
    for (const phase of run.phases.filter((each) => each.isFault)) {
      const [from, to] = [phase.begin, phase.end].map((time) => chart.valToPos(time, "x", true));
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
    }
  }
  ctx.restore();
}

/** Makes the chart show what the view shows, and the view what is chosen in the chart. Out of sight it waits. */
function follow(chart, place, view) {
  let isFollowing = false;
  let isVisible = false;
  let frame;
  const catchUp = () => {
    frame = undefined;
    const { min, max } = chart.scales.x;
    if (min === view.begin && max === view.end) return;
    isFollowing = true;
    chart.setScale("x", { min: view.begin, max: view.end });
    isFollowing = false;
  };
  view.onChange(() => {
    if (isVisible) frame ??= requestAnimationFrame(catchUp);
  });
  new IntersectionObserver(([entry]) => {
    isVisible = entry.isIntersecting;
    if (isVisible) catchUp();
  }).observe(place);
  addEventListener("beforeprint", catchUp);
  chart.hooks.setScale = [
    (_, key) => {
      const { min, max } = chart.scales.x;
      if (key === "x" && !isFollowing && min != null && (min !== view.begin || max !== view.end)) view.show(min, max);
    },
  ];
  chart.over.addEventListener("dblclick", () => view.showAll());
}
