"use strict";
// The stream timeline: each stream a row, its tokens ticks, its stalls coloured by whose they are.
// What can be done with it is in timeline_input.js.

const GUTTER = 52; // CSS pixels left of the rows and of the charts below: numbers of streams
const RIGHT = 12;
const HEADER = 24; // names of phases
const FOOTER = 24; // times
const ROW = { least: 0.25, usual: 15, most: 44 };

class Timeline {
  constructor(root, run, view, theme) {
    this.run = run;
    this.view = view;
    this.theme = theme;
    this.canvas = root.querySelector("canvas");
    this.tip = root.querySelector(".tip");
    this.told = root.querySelector(".told");
    this.range = root.querySelector(".range");
    this.orders = { start: [...run.number.keys()] };
    this.order = this.orders.start;
    this.top = 0; // the first visible row, with a fraction
    this.isFitted = true; // the rows follow the time that is shown, until somebody chooses others
    this.selected = null;
    this.hovered = null;
    view.onChange(() => this.later());
    theme.onChange(() => this.resize());
    new ResizeObserver(() => this.resize()).observe(this.canvas.parentElement);
    this.resize();
  }

  /** Sorts the rows: `start`, or `worst` for the longest stalls first. */
  sort(name) {
    const { run } = this;
    if (name === "worst" && !this.orders.worst) {
      const waits = this.orders.start.map((stream) => run.began(stream) - run.scheduled[stream]);
      const badness = this.orders.start.map((stream) => [run.isInterrupted(stream), run.stalled(stream) + waits[stream]]);
      this.orders.worst = [...this.orders.start].sort(
        (a, b) => badness[b][0] - badness[a][0] || badness[b][1] - badness[a][1] || a - b,
      );
    }
    this.order = this.orders[name];
    this.showRows();
  }

  /** All rows, or in the order of time those of the streams that live in the time that is shown. */
  showRows() {
    this.isFitted = true;
    this.rowHeight = Math.min(this.fitted, ROW.most);
    this.top = 0;
    this.later();
  }

  fit() {
    if (!this.isFitted || this.order !== this.orders.start) return;
    const { run, view } = this;
    const lives = (stream) => run.scheduled[stream] <= view.end && run.ended[stream] >= view.begin;
    const first = this.order.findIndex(lives);
    if (first < 0) return;
    const count = this.order.findLastIndex(lives) + 1 - first;
    this.rowHeight = Math.min(Math.max(this.plotHeight / count, this.fitted), ROW.most);
    this.top = Math.min(Math.max(first, 0), Math.max(0, run.count - this.shownRows));
  }

  resize() {
    const width = this.theme.isPrinted ? PAPER : this.canvas.parentElement.clientWidth;
    if (!width) return;
    this.canvas.style.width = this.theme.isPrinted ? `${PAPER}px` : "";
    const room = innerWidth < 640 ? 380 : 560;
    this.width = width;
    this.plotWidth = Math.max(50, width - GUTTER - RIGHT);
    this.plotHeight = Math.min(room, Math.max(48, this.run.count * ROW.usual));
    this.fitted = this.plotHeight / Math.max(1, this.run.count);
    this.rowHeight = Math.max(this.rowHeight ?? 0, Math.min(this.fitted, ROW.most));
    this.draw();
  }

  get shownRows() {
    return this.plotHeight / this.rowHeight;
  }

  /** Makes rows higher or lower by a factor; the selected one, or that under the pointer, stays where it is. */
  stretch(factor, y = this.selectedPlace() ?? this.plotHeight / 2) {
    this.isFitted = false;
    const row = this.top + y / this.rowHeight;
    const least = Math.min(this.fitted, ROW.most);
    this.rowHeight = Math.min(Math.max(this.rowHeight * factor, least), ROW.most);
    this.scrollTo(row - y / this.rowHeight);
  }

  /** How far below the first row the selected one is; undefined where it is not shown. */
  selectedPlace() {
    const row = this.selected ? this.order.indexOf(this.selected.stream) + 0.5 : -1;
    return row >= this.top && row <= this.top + this.shownRows ? (row - this.top) * this.rowHeight : undefined;
  }

  scrollTo(row) {
    this.isFitted = false;
    this.top = Math.min(Math.max(row, 0), Math.max(0, this.run.count - this.shownRows));
    this.later();
  }

  showAll() {
    this.view.showAll();
    this.showRows();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = undefined;
    this.fit();
    const scale = devicePixelRatio || 1;
    const height = HEADER + this.plotHeight + FOOTER;
    const size = [Math.round(this.width * scale), Math.round(height * scale)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) {
      [this.canvas.width, this.canvas.height] = size;
      this.canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, height);
    context.font = `12px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textBaseline = "middle";
    this.drawPhases(context);
    this.drawStreams(context, scale);
    this.drawNumbers(context);
    drawTimes(context, this);
    this.drawSelection(context);
    this.tellRange();
  }

  /** Which part of the run is shown, in words. */
  tellRange() {
    const { view, run } = this;
    const { decimals } = timeStep(view.span, 200);
    const shown = Math.min(run.count, Math.ceil(this.top + this.shownRows)) - Math.floor(this.top);
    const rows = shown < run.count ? `, ${shown} of ${counted(run.count, "stream")}` : "";
    const text = `${view.begin.toFixed(decimals)}–${view.end.toFixed(decimals)} s${rows}`;
    if (this.range.textContent !== text) this.range.textContent = text;
  }

  x(time) {
    return GUTTER + ((time - this.view.begin) / this.view.span) * this.plotWidth;
  }

  y(row) {
    return HEADER + (row - this.top) * this.rowHeight;
  }

  drawPhases(context) {
    const { theme } = this;
    context.save();
    context.beginPath();
    context.rect(GUTTER, 0, this.plotWidth, HEADER + this.plotHeight);
    context.clip();
    for (const phase of this.run.phases) {
      const [from, to] = [this.x(phase.begin), this.x(phase.end)];
      if (to < GUTTER || from > GUTTER + this.plotWidth) continue;
      context.fillStyle = theme.color(phase.isFault ? "fault" : "plot");
      context.fillRect(from, HEADER, to - from, this.plotHeight);
      context.fillStyle = theme.color(phase.isFault ? "fault-head" : "calm-head");
      context.fillRect(from, 0, to - from - 1, HEADER - 4);
      const begin = Math.max(from, GUTTER) + 6;
      context.fillStyle = theme.color(phase.isFault ? "fault-ink" : "ink");
      const label = fitting(context, phase.isFault ? `${phase.name}: fault` : phase.name, Math.min(to, this.width) - begin - 4);
      context.fillText(label, begin, (HEADER - 4) / 2 + 1);
    }
    context.restore();
  }

  drawStreams(context, scale) {
    const [width, height] = [Math.round(this.plotWidth * scale), Math.round(this.plotHeight * scale)];
    if (this.raster?.width !== width || this.raster?.height !== height) {
      this.raster = new Raster(width, height, scale);
      this.layer = document.createElement("canvas");
      [this.layer.width, this.layer.height] = [width, height];
    }
    const image = this.raster.draw(this.run, this.order, this.view, this.top, this.rowHeight * scale, this.theme);
    this.layer.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(this.layer, GUTTER, HEADER, this.plotWidth, this.plotHeight);
    if (this.rowHeight >= 11) this.drawLetters(context);
  }

  /** The letter of each cause on stalls that have room for it. */
  drawLetters(context) {
    context.save();
    context.font = `bold ${Math.min(12, Math.round(this.rowHeight - 2))}px ui-monospace, monospace`;
    context.textAlign = "center";
    this.eachRow((stream, row) => {
      const [first, after] = this.run.stallsOf(stream);
      for (let stall = first; stall < after; stall += 1) {
        const from = Math.max(this.x(this.run.stallBegin[stall]), GUTTER);
        const to = Math.min(this.x(this.run.stallEnd[stall]), GUTTER + this.plotWidth);
        if (to - from < 13) continue;
        const letter = LETTERS[this.run.cause(stall)];
        const middle = this.y(row + 0.5);
        if (middle < HEADER + 4 || middle > HEADER + this.plotHeight - 4) continue;
        const half = Math.min(7, this.rowHeight / 2);
        context.fillStyle = this.theme.color(this.run.cause(stall));
        context.fillRect((from + to) / 2 - 6, middle - half, 12, 2 * half);
        context.fillStyle = this.theme.color("letter");
        context.fillText(letter, (from + to) / 2, middle + 0.5);
      }
    });
    context.restore();
  }

  eachRow(visit) {
    const last = Math.min(this.run.count, Math.ceil(this.top + this.shownRows));
    for (let row = Math.floor(this.top); row < last; row += 1) visit(this.order[row], row);
  }

  drawNumbers(context) {
    const step = Math.max(1, Math.ceil(13 / this.rowHeight));
    context.textAlign = "right";
    context.fillStyle = this.theme.color("muted");
    this.eachRow((stream, row) => {
      const middle = this.y(row + 0.5);
      if (row % step || middle < HEADER + 5 || middle > HEADER + this.plotHeight - 4) return;
      context.fillText(String(this.run.number[stream]), GUTTER - 6, middle);
    });
    context.textAlign = "left";
    if (this.shownRows >= this.run.count) return;
    const length = Math.max(12, (this.plotHeight * this.shownRows) / this.run.count); // where the rows are among all
    const from = HEADER + (this.plotHeight - length) * (this.top / (this.run.count - this.shownRows));
    context.fillRect(this.width - 6, from, 4, length);
  }

  drawSelection(context) {
    for (const [event, name] of [[this.hovered, "muted"], [this.selected, "focus"]]) {
      if (!event) continue;
      const row = this.order.indexOf(event.stream);
      const [from, to] = this.extent(event);
      const [y0, y1] = [Math.max(this.y(row), HEADER), Math.min(this.y(row + 1), HEADER + this.plotHeight)];
      const [x0, x1] = [Math.max(this.x(from), GUTTER), Math.min(this.x(to), GUTTER + this.plotWidth)];
      if (y1 <= HEADER || y0 >= HEADER + this.plotHeight || x1 < x0) continue;
      context.strokeStyle = this.theme.color(name);
      context.lineWidth = 2;
      const tall = Math.max(y1 - y0, 7);
      context.strokeRect(x0 - 2, (y0 + y1 - tall) / 2 - 1, x1 - x0 + 4, tall + 2);
    }
  }

  /** From when to when something selected lasted. */
  extent(event) {
    const { run } = this;
    if (event.kind === "stall") return [run.stallBegin[event.index], run.stallEnd[event.index]];
    if (event.kind === "wait" || event.kind === "asked") return [run.scheduled[event.stream], run.began(event.stream)];
    return [event.at, event.at];
  }

  /** Selects it, shows it, and says what it is to those who see it and to those who hear it. */
  select(event) {
    this.selected = event;
    if (event) {
      const [from, to] = this.extent(event);
      if (to < this.view.begin || from > this.view.end) this.view.reveal((from + to) / 2);
      this.fit();
      const row = this.order.indexOf(event.stream);
      if (row < this.top || row + 1 > this.top + this.shownRows) this.scrollTo(row - this.shownRows / 2);
      this.told.textContent = this.run.tell(event);
    }
    this.later();
  }
}

/** The axis of times below the rows. */
function drawTimes(context, { view, theme, plotWidth, plotHeight }) {
  const bottom = HEADER + plotHeight;
  const { step, decimals } = timeStep(view.span, plotWidth / 90);
  context.fillStyle = theme.color("muted");
  context.strokeStyle = theme.color("line");
  context.lineWidth = 1;
  context.textAlign = "center";
  for (let time = Math.ceil(view.begin / step) * step; time <= view.end; time += step) {
    const x = GUTTER + ((time - view.begin) / view.span) * plotWidth;
    context.beginPath();
    context.moveTo(x, bottom);
    context.lineTo(x, bottom + 5);
    context.stroke();
    const label = `${time.toFixed(decimals)} s`;
    const half = context.measureText(label).width / 2;
    context.fillText(label, Math.min(Math.max(x, GUTTER + half - 20), GUTTER + plotWidth - half + RIGHT), bottom + 14);
  }
  context.textAlign = "left";
}

/** The text, with an ellipsis where it is wider than that; nothing where nothing fits. */
function fitting(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  for (let length = text.length - 1; length > 1; length -= 1) {
    const shorter = `${text.slice(0, length)}…`;
    if (context.measureText(shorter).width <= width) return shorter;
  }
  return "";
}
