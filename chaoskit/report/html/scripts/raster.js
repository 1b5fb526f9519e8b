"use strict";
// Draws streams into pixels: one pass over the visible tokens, at most one tick for each pixel of a row. So half a
// million tokens take a few milliseconds. Each cause of a stall has a pattern of its own beside its colour.

const PATTERNS = {
  network: (x, y, size) => (x + y) % size < size / 2, // diagonal stripes
  server: () => true, // solid
  client: (x, y, size) => y % size < size / 2, // lines
  between: (x, y, size) => x % size < size / 2, // upright lines
  unknown: (x, y, size) => x % size < size / 2 !== y % size < size / 2, // a chequer
};

class Raster {
  constructor(width, height, scale) {
    this.width = width;
    this.height = height;
    this.scale = scale; // device pixels in one of CSS
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  /** Draws the rows of `order` from `top` on, each `rowHeight` device pixels high, for the time of the view. */
  draw(run, order, view, top, rowHeight, theme) {
    this.pixels.fill(0);
    const visible = { first: Math.max(0, Math.floor(top)), after: 0 };
    visible.after = Math.min(order.length, Math.ceil(top + this.height / rowHeight));
    const perSecond = this.width / view.span;
    const colors = {
      wait: theme.pixel("wait"),
      late: theme.pixel("late"),
      body: theme.pixel("body"),
      tick: theme.pixel("tick"),
      first: theme.pixel("first"),
      end: theme.pixel("interrupted"),
    };
    const rows = [];
    for (let row = visible.first; row < visible.after; row += 1) {
      const y0 = Math.max(0, Math.floor((row - top) * rowHeight));
      const gap = rowHeight >= 4 * this.scale ? Math.round(this.scale) : 0;
      const y1 = Math.min(this.height, Math.max(y0 + 1, Math.floor((row + 1 - top) * rowHeight) - gap));
      if (y1 > y0) rows.push({ stream: order[row], y0, y1 });
    }
    const place = (time) => (time - view.begin) * perSecond;
    for (const row of rows) this.stream(run, row, place, view, colors);
    for (const row of rows) this.stalls(run, row, place, view, theme);
    for (const row of rows) if (run.isInterrupted(row.stream)) this.cross(place(run.ended[row.stream]), row, colors.end);
    return this.image;
  }

  stream(run, { stream, y0, y1 }, place, view, colors) {
    if (run.scheduled[stream] > view.end || run.ended[stream] < view.begin) return;
    const [first, after] = run.tokensOf(stream);
    const began = run.began(stream);
    const third = y1 - y0 > 5 ? Math.floor((y1 - y0) / 3) : 0;
    this.fill(place(run.scheduled[stream]), place(began), y0 + third, y1 - third, run.isLate(stream) ? colors.late : colors.wait);
    this.fill(place(began), place(run.ended[stream]), y0, y1, colors.body);
    const wide = Math.max(1, Math.round(this.scale));
    let last = -wide;
    const end = lowerBound(run.at, first, after, view.end);
    for (let token = lowerBound(run.at, first, after, view.begin); token < end; token += 1) {
      const x = Math.floor(place(run.at[token]));
      if (x < last + wide) continue;
      last = x;
      this.fill(x, x + wide, y0, y1, token === first ? colors.first : colors.tick);
    }
  }

  stalls(run, { stream, y0, y1 }, place, view, theme) {
    const [first, after] = run.stallsOf(stream);
    for (let stall = first; stall < after; stall += 1) {
      if (run.stallEnd[stall] < view.begin || run.stallBegin[stall] > view.end) continue;
      const cause = run.cause(stall);
      this.hatch(place(run.stallBegin[stall]), place(run.stallEnd[stall]), y0, y1, cause, theme);
    }
  }

  /** A mark at the end of an interrupted stream, wide enough to be seen. */
  cross(x, { y0, y1 }, color) {
    this.fill(x - this.scale, x + 2 * this.scale, y0, y1, color);
  }

  fill(from, to, y0, y1, color) {
    const x0 = Math.max(0, Math.floor(from));
    const x1 = Math.min(this.width, Math.max(Math.floor(to), Math.floor(from) + 1));
    for (let y = y0; y < y1; y += 1) this.pixels.fill(color, y * this.width + x0, y * this.width + Math.max(x0, x1));
  }

  hatch(from, to, y0, y1, cause, theme) {
    const x0 = Math.max(0, Math.floor(from));
    const x1 = Math.min(this.width, Math.max(Math.floor(to), Math.floor(from) + Math.ceil(2 * this.scale)));
    const strong = theme.pixel(cause);
    const weak = theme.pixel(`${cause}-weak`);
    const size = Math.max(4, Math.round(6 * this.scale));
    const isPlain = y1 - y0 < size / 2 || x1 - x0 < size;
    const inside = PATTERNS[cause];
    for (let y = y0; y < y1; y += 1) {
      const row = y * this.width;
      for (let x = x0; x < x1; x += 1) {
        this.pixels[row + x] = isPlain || inside(x, y - y0, size) ? strong : weak;
      }
    }
  }
}
