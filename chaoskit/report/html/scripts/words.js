"use strict";
// Numbers as people read them: three digits, and a unit.

/** A length of time in seconds: `1.31 s`, `20 ms`, `350 µs`. */
function duration(seconds) {
  const size = Math.abs(seconds);
  if (size >= 119.5) return `${digits(seconds / 60)} min`;
  if (size >= 0.9995) return `${digits(seconds)} s`;
  if (size >= 0.0009995) return `${digits(seconds * 1e3)} ms`;
  return `${digits(seconds * 1e6)} µs`;
}

/** A moment of the run: `12.345 s`. */
function moment(seconds) {
  return `${seconds.toFixed(3)} s`;
}

/** Three significant digits without trailing zeros. */
function digits(value) {
  const size = Math.abs(value);
  const places = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.0995 ? 2 : 3;
  const text = value.toFixed(places);
  return places ? text.replace(/\.?0+$/, "") : text;
}

/** `1 stream`, `2 streams`. */
function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The labels of a time axis: its step, and how many decimals a label needs. */
function timeStep(span, most) {
  const least = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= least);
  return { step, decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}
