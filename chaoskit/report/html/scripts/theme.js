"use strict";
// The colours of the page, for canvases: those of page.css, light on paper whatever the screen has.

const PAPER = 640; // CSS pixels that a sheet of A4 or Letter has room for

class Theme {
  constructor() {
    this.listeners = [];
    this.isPrinted = false;
    this.paper = document.querySelector(".on-paper");
    this.read();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.read());
    matchMedia("print").addEventListener("change", (event) => this.print(event.matches));
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
  }

  /** Calls `listener` when the colours have changed; it draws at once, for a printer does not wait. */
  onChange(listener) {
    this.listeners.push(listener);
  }

  print(isPrinted) {
    this.isPrinted = isPrinted;
    this.read();
  }

  read() {
    this.style = getComputedStyle(this.isPrinted ? this.paper : document.documentElement);
    this.known = new Map();
    this.listeners.forEach((listener) => listener());
  }

  /** The value of a custom property of page.css: `color("network")` is that of `--network`. */
  color(name) {
    if (!this.known.has(name)) this.known.set(name, this.style.getPropertyValue(`--${name}`).trim());
    return this.known.get(name);
  }

  /** The same as a pixel of an ImageData seen as 32 bit numbers (little-endian: alpha, blue, green, red). */
  pixel(name, alpha = 255) {
    const [red, green, blue] = this.color(name).match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
    return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
}
