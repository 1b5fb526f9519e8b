"use strict";
// What a wheel, a finger, a pointer, keys and buttons do to a timeline.
// The wheel zooms once the picture has the focus, or with Ctrl; else it scrolls the page, as everywhere.

const NEAR = 6; // CSS pixels from a tick that still mean it

class TimelineInput {
  constructor(root, timeline) {
    this.timeline = timeline;
    this.view = timeline.view;
    this.run = timeline.run;
    this.pointers = new Map();
    const { canvas } = timeline;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("dblclick", (event) => this.view.zoom(1 / 4, this.timeAt(event)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.focus());
    for (const button of root.querySelectorAll("button[data-do]")) {
      button.addEventListener("click", () => this.act(button.dataset.do));
    }
    root.querySelector("select")?.addEventListener("change", (event) => timeline.sort(event.target.value));
  }

  timeAt(event) {
    const share = (event.offsetX - GUTTER) / this.timeline.plotWidth;
    return this.view.begin + Math.min(Math.max(share, 0), 1) * this.view.span;
  }

  wheel(event) {
    const { timeline } = this;
    if (document.activeElement !== timeline.canvas && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    if (event.shiftKey) timeline.stretch(1.002 ** -((event.deltaY || event.deltaX) * lines), event.offsetY - HEADER);
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.view.pan((event.deltaX * lines) / timeline.plotWidth);
    else this.view.zoom(1.002 ** (event.deltaY * lines), this.timeAt(event));
  }

  down(event) {
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.timeline.canvas.setPointerCapture(event.pointerId);
    this.moved = 0;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.hover(this.pick(event.offsetX, event.offsetY), event);
      return;
    }
    const { timeline } = this;
    const now = [event.offsetX, event.offsetY];
    this.moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    if (this.pointers.size === 2) this.pinch(event.pointerId, before, now);
    else if (this.moved > 4) {
      this.hover(null);
      this.view.pan((before[0] - now[0]) / timeline.plotWidth);
      if (event.pointerType !== "touch" && before[1] !== now[1] && timeline.shownRows < this.run.count) timeline.scrollTo(timeline.top + (before[1] - now[1]) / timeline.rowHeight);
    }
    this.pointers.set(event.pointerId, now);
  }

  pinch(id, before, now) {
    const [other] = [...this.pointers].filter(([each]) => each !== id).map(([, place]) => place);
    const [was, is] = [Math.abs(before[0] - other[0]), Math.abs(now[0] - other[0])];
    if (was > 8 && is > 8) this.view.zoom(was / is, this.timeAt({ offsetX: (other[0] + now[0]) / 2 }));
  }

  up(event) {
    if (this.pointers.delete(event.pointerId) && this.moved <= 4) {
      const found = this.pick(event.offsetX, event.offsetY, event.pointerType === "touch" ? 3 * NEAR : NEAR);
      if (found) this.timeline.select(found);
    }
  }

  /** What is under a point of the picture: a stall, a token, the wait for the first one, an end; or null. */
  pick(x, y, near = NEAR) {
    const { timeline, run } = this;
    const row = Math.floor(timeline.top + (y - HEADER) / timeline.rowHeight);
    const isInside = x >= GUTTER && y >= HEADER && y < HEADER + timeline.plotHeight;
    if (!isInside || row < 0 || row >= run.count) return null;
    const stream = timeline.order[row];
    const at = this.timeAt({ offsetX: x });
    const reach = (near * this.view.span) / timeline.plotWidth;
    const [stall, lastStall] = run.stallsOf(stream);
    for (let index = stall; index < lastStall; index += 1) {
      const [begin, end] = [run.stallBegin[index], run.stallEnd[index]];
      if (at >= begin - Math.min(reach, 1e9) / 3 && at <= end + reach / 3) return { kind: "stall", at: begin, index, stream };
    }
    if (run.isInterrupted(stream) && Math.abs(at - run.ended[stream]) < reach) {
      return { kind: "end", at: run.ended[stream], stream };
    }
    const [first, after] = run.tokensOf(stream);
    const next = lowerBound(run.at, first, after, at);
    const nearest = [next - 1, next]
      .filter((token) => token >= first && token < after && Math.abs(run.at[token] - at) < reach)
      .sort((a, b) => Math.abs(run.at[a] - at) - Math.abs(run.at[b] - at))[0];
    if (nearest !== undefined) return { kind: "token", at: run.at[nearest], index: nearest, stream };
    const isWaiting = at >= run.scheduled[stream] - reach && at <= run.began(stream);
    return isWaiting ? { kind: "wait", at: run.scheduled[stream], stream } : null;
  }

  hover(found, event) {
    const { timeline } = this;
    const { tip } = timeline;
    const same = found?.kind === timeline.hovered?.kind && found?.at === timeline.hovered?.at && found?.stream === timeline.hovered?.stream;
    if (!same) {
      timeline.hovered = found;
      tip.textContent = found ? this.run.tell(found) : "";
      timeline.later();
    }
    tip.hidden = !found;
    if (!found || !event) return;
    const left = Math.min(Math.max(4, event.offsetX + 14), Math.max(4, timeline.width - tip.offsetWidth - 4));
    tip.style.transform = `translate(${left}px, ${event.offsetY + 18}px)`;
  }

  /** Somebody who came by keyboard hears of the first stall at once; a pointer chooses by itself. */
  focus() {
    if (!this.timeline.canvas.matches(":focus-visible")) return;
    if (!this.timeline.selected && this.run.count) this.next(this.run.stalls ? 1 : 0);
  }

  key(event) {
    const { shiftKey, ctrlKey, altKey, metaKey } = event;
    if (ctrlKey || altKey || metaKey) return;
    const act = KEYS[shiftKey ? `Shift+${event.key}` : event.key] ?? KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    this.act(act);
  }

  act(name) {
    const { timeline, view } = this;
    switch (name) {
      case "zoom-in": return view.zoom(1 / 2, this.middle());
      case "zoom-out": return view.zoom(2, this.middle());
      case "left": return view.pan(-0.25);
      case "right": return view.pan(0.25);
      case "taller": return timeline.stretch(1.5);
      case "lower": return timeline.stretch(1 / 1.5);
      case "all": return timeline.showAll();
      case "next-stall": return this.next(1);
      case "last-stall": return this.next(-1);
      case "row-down": return this.row(1);
      case "row-up": return this.row(-1);
      case "event-right": return this.event(1);
      case "event-left": return this.event(-1);
      default: return this.close();
    }
  }

  /** Where the keys zoom: at what is selected, if it is shown. */
  middle() {
    const { selected } = this.timeline;
    if (!selected) return undefined;
    const [from, to] = this.timeline.extent(selected);
    const at = (from + to) / 2;
    return at >= this.view.begin && at <= this.view.end ? at : undefined;
  }

  /** Selects the next or the previous stall of all streams, in the order of time; without stalls the first stream. */
  next(step) {
    const { timeline, run } = this;
    if (!run.stalls) {
      if (run.count) timeline.select(run.eventsOf(timeline.order[0])[0]);
      return;
    }
    this.byTime ??= [...run.stallBegin.keys()].sort((a, b) => run.stallBegin[a] - run.stallBegin[b] || a - b);
    const { selected } = timeline;
    const now = selected?.kind === "stall" ? this.byTime.indexOf(selected.index) : -1;
    const place = now < 0 ? (step < 0 ? this.byTime.length - 1 : 0) : (now + step + this.byTime.length) % this.byTime.length;
    const index = this.byTime[place];
    timeline.select({ kind: "stall", at: run.stallBegin[index], index, stream: run.stallStream[index] });
  }

  row(step) {
    const { timeline, run } = this;
    const { selected, order } = timeline;
    const now = selected ? order.indexOf(selected.stream) : -step;
    const stream = order[Math.min(Math.max(now + step, 0), run.count - 1)];
    if (stream === undefined) return;
    const events = run.eventsOf(stream);
    const at = selected?.at ?? this.view.begin;
    timeline.select(events.reduce((best, each) => (Math.abs(each.at - at) < Math.abs(best.at - at) ? each : best)));
  }

  /** The next or the previous thing in the selected stream. */
  event(step) {
    const { timeline, run } = this;
    if (!timeline.selected) return this.row(1);
    const { stream, at, kind } = timeline.selected;
    const events = run.eventsOf(stream);
    const same = events.findIndex((each) => each.kind === kind && each.at === at);
    const after = events.findIndex((each) => each.at > at);
    const place = same >= 0 ? same + step : step > 0 ? after : (after < 0 ? events.length : after) - 1;
    if (events[place]) timeline.select(events[place]);
    return undefined;
  }

  close() {
    const { selected } = this.timeline;
    if (!selected) return;
    const [from, to] = this.timeline.extent(selected);
    const room = Math.max(to - from, 0.1);
    this.view.show(from - room / 2, to + room / 2);
  }
}

const KEYS = {
  "+": "zoom-in",
  "=": "zoom-in",
  "-": "zoom-out",
  "Shift+ArrowLeft": "left",
  "Shift+ArrowRight": "right",
  "Shift+ArrowUp": "taller",
  "Shift+ArrowDown": "lower",
  ArrowLeft: "event-left",
  ArrowRight: "event-right",
  ArrowUp: "row-up",
  ArrowDown: "row-down",
  n: "next-stall",
  p: "last-stall",
  Enter: "close-up",
  0: "all",
  Home: "all",
};
