"use strict";
// The part of a run's time that its timeline and its charts show, all the same.

const CLOSEST = 0.002; // seconds that a view shows at least

class View {
  constructor(begin, end) {
    this.first = begin;
    this.last = Math.max(end, begin + CLOSEST);
    this.begin = this.first;
    this.end = this.last;
    this.listeners = [];
  }

  get span() {
    return this.end - this.begin;
  }

  get isWhole() {
    return this.begin === this.first && this.end === this.last;
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  /** Shows this time, moved and shortened so that it is within the run. */
  show(begin, end) {
    const span = Math.min(Math.max(end - begin, CLOSEST), this.last - this.first);
    const from = Math.min(Math.max(begin, this.first), this.last - span);
    if (from === this.begin && from + span === this.end) return;
    this.begin = from;
    this.end = from + span;
    this.listeners.forEach((listener) => listener());
  }

  showAll() {
    this.show(this.first, this.last);
  }

  /** Shows `factor` times as much, with the moment `at` where it was. */
  zoom(factor, at = (this.begin + this.end) / 2) {
    this.show(at - (at - this.begin) * factor, at + (this.end - at) * factor);
  }

  /** Moves by a share of what is shown. */
  pan(share) {
    this.show(this.begin + share * this.span, this.end + share * this.span);
  }

  /** Moves as little as makes the moment visible, with some room around it. */
  reveal(at) {
    if (at < this.begin || at > this.end) this.show(at - this.span / 2, at + this.span / 2);
  }
}
