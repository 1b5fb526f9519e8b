"use strict";
// The streams of a run: when each was asked, its tokens, its stalls, and what can be said of them.

const LITTLE = 1e-5; // seconds: times are packed in microseconds
const CAUSES = ["server", "network", "client", "between", "unknown"];
const LETTERS = { server: "S", network: "N", client: "C", between: "B", unknown: "?" };

class Run {
  /** Of what `unpack` returns; times become seconds since the run began. */
  constructor(data) {
    const { columns, tick } = data;
    const seconds = (column) => column.map((time) => time * tick);
    this.phases = data.phases;
    this.end = data.end;
    this.late = data.late ?? Infinity;
    this.number = columns.number;
    this.scheduled = seconds(columns.scheduled);
    this.ended = seconds(columns.ended);
    this.completion = columns.completion;
    this.completions = data.completions;
    this.wait = columns.wait;
    this.waits = data.waits;
    this.at = seconds(columns.at);
    this.firstToken = offsets(columns.tokens);
    this.stallBegin = seconds(columns.stall_begin);
    this.stallEnd = seconds(columns.stall_end);
    this.stallCause = columns.stall_cause;
    this.stallStream = columns.stall_stream;
    this.stallSentence = columns.stall_sentence;
    this.sentences = data.sentences;
    this.firstStall = offsets(countsOf(columns.stall_stream, this.count));
  }

  get count() {
    return this.number.length;
  }

  get stalls() {
    return this.stallBegin.length;
  }

  tokensOf(stream) {
    return [this.firstToken[stream], this.firstToken[stream + 1]];
  }

  stallsOf(stream) {
    return [this.firstStall[stream], this.firstStall[stream + 1]];
  }

  cause(stall) {
    return CAUSES[this.stallCause[stall]];
  }

  isComplete(stream) {
    return this.completions[this.completion[stream]].word === "complete";
  }

  /** Whether it was neither complete nor cut off by the end of the run. */
  isInterrupted(stream) {
    return this.completions[this.completion[stream]].interrupted;
  }

  /** When its first token came; when it ended, if none did. */
  began(stream) {
    const [first, after] = this.tokensOf(stream);
    return first < after ? this.at[first] : this.ended[stream];
  }

  /** Whether its first token took longer than nearly all of the phase of reference. */
  isLate(stream) {
    return this.began(stream) - this.scheduled[stream] > this.late + LITTLE;
  }

  stalled(stream) {
    let sum = 0;
    const [first, after] = this.stallsOf(stream);
    for (let stall = first; stall < after; stall += 1) sum += this.stallEnd[stall] - this.stallBegin[stall];
    return sum;
  }

  /** The phase at a moment; undefined in a run without phases. */
  phaseAt(moment) {
    return this.phases.findLast((phase) => phase.begin <= moment) ?? this.phases[0];
  }

  /** What can be selected in a stream, in order of time: `{ kind, at, index }`. */
  eventsOf(stream) {
    const [first, after] = this.tokensOf(stream);
    const found = [{ kind: "asked", at: this.scheduled[stream] }];
    if (first < after) found.push({ kind: "token", at: this.at[first], index: first });
    const [stall, lastStall] = this.stallsOf(stream);
    for (let index = stall; index < lastStall; index += 1) {
      found.push({ kind: "stall", at: this.stallBegin[index], index });
    }
    found.push({ kind: "end", at: this.ended[stream] });
    return found.map((event) => ({ ...event, stream }));
  }

  /** One sentence about something selected. */
  tell(event) {
    const during = this.phaseAt(event.at);
    const when = `${moment(event.at)}${during ? `, in ${during.name}` : ""}`;
    const name = `Stream ${this.number[event.stream]}`;
    switch (event.kind) {
      case "stall": {
        const length = duration(this.stallEnd[event.index] - this.stallBegin[event.index]);
        return `${name}, from ${when}: ${length} of silence. ${this.sentences[this.stallSentence[event.index]]}`;
      }
      case "token": {
        const [first, after] = this.tokensOf(event.stream);
        const place = event.index - first + 1;
        const before = event.index > first ? this.at[event.index - 1] : this.scheduled[event.stream];
        const since = event.index > first ? "after the one before" : "after it was asked";
        const told = `${name}, token ${place} of ${after - first}, at ${when}: ${duration(event.at - before)} ${since}.`;
        return event.index === first ? `${told} ${this.waitOf(event.stream)}`.trim() : told;
      }
      case "wait":
      case "asked":
        return `${name}, asked at ${moment(this.scheduled[event.stream])}. ${this.firstOf(event.stream)}`;
      default: {
        const { word, detail } = this.ending(event.stream);
        return `${name} ended at ${when}: ${word}${detail ? `, ${detail}` : ""}.`;
      }
    }
  }

  firstOf(stream) {
    const [first, after] = this.tokensOf(stream);
    if (first === after) return "It never had a token.";
    const late = this.isLate(stream) ? ", later than 19 of 20 in the phase of reference" : "";
    return `Its first token came ${duration(this.at[first] - this.scheduled[stream])} later${late}. ${this.waitOf(stream)}`.trim();
  }

  waitOf(stream) {
    return this.waits[this.wait[stream]];
  }

  ending(stream) {
    return this.completions[this.completion[stream]];
  }
}

/** Where each group begins, and where the last one ends. */
function offsets(counts) {
  const found = new Uint32Array(counts.length + 1);
  counts.forEach((count, index) => {
    found[index + 1] = found[index] + count;
  });
  return found;
}

function countsOf(groups, count) {
  const found = new Uint32Array(count);
  groups.forEach((group) => {
    found[group] += 1;
  });
  return found;
}

/** The first row of `sorted`, between two rows, whose value is not below `value`. */
function lowerBound(sorted, first, after, value) {
  let low = first;
  let high = after;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
