// SPDX-License-Identifier: Apache-2.0
// Latency of the networks of onnx_models.py in ONNX Runtime: one JSON object per line on stdout.
//
//   node onnxruntime.cjs --package FOLDER --models FOLDER [--network NAME]... [--form FORM]...
//                        [--threads N]... [--batch N]... [--seconds S]
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");

const rounds = 11;
const precisions = { f32: "f32", qdq: "w8a8", qoperator: "w8a8" };

const several = (values) => ({ type: "string", multiple: true, default: values });
const { values: options } = parseArgs({
  options: {
    package: { type: "string" }, // the folder that has node_modules
    models: { type: "string" },
    network: several([]),
    form: several(Object.keys(precisions)),
    threads: several(["1", "2"]),
    batch: several(["1"]),
    seconds: { type: "string", default: "0.5" },
  },
});
if (!options.package || !options.models) {
  console.error("onnxruntime: expected --package FOLDER and --models FOLDER");
  process.exit(2);
}

// The synchronous binding: the promise around it would be timed with the network.
const root = path.resolve(options.package, "node_modules/onnxruntime-node");
const { binding, initOrt } = require(path.join(root, "dist/binding.js"));
const { env, Tensor } = require(path.resolve(options.package, "node_modules/onnxruntime-common"));
env.logLevel = "error";
initOrt();

function median(sorted, share = 0.5) {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at), high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

function image(form, batch, shape) {
  const bytes = Uint8Array.from({ length: batch * shape.reduce((a, b) => a * b, 1) },
                                () => Math.floor(Math.random() * 256));
  const shaped = [batch, ...shape];
  return form === "f32" ? new Tensor("float32", Float32Array.from(bytes, (u) => u / 255), shaped)
                        : new Tensor("uint8", bytes, shaped);
}

function cases() {
  const all = [];
  for (const file of fs.readdirSync(options.models).sort()) {
    const [, network, form] = file.match(/^(.*)\.(\w+)\.onnx$/) ?? [];
    const wanted = options.network.length === 0 || options.network.includes(network);
    if (!form || !wanted || !options.form.includes(form)) continue;
    for (const threads of options.threads.map(Number)) {
      const session = new binding.InferenceSession();
      session.loadModel(path.join(options.models, file), {
        intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: "sequential",
        graphOptimizationLevel: "all",
      });
      const shape = session.inputMetadata[0].shape.slice(1);
      for (const batch of options.batch.map(Number)) {
        const feeds = { x: image(form, batch, shape) };
        all.push({ network, form, threads, batch, times: [], calls: 0, last: 0,
                   run: () => session.run(feeds, { y: null }, {}) });
      }
    }
  }
  return all;
}

function timed(calls, run) { // seconds per call
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; ++i) run();
  return Number(process.hrtime.bigint() - start) * 1e-9 / calls;
}

// A function that tells the cores that other programs kept busy since now.
function bystanders() {
  const now = () => {
    const busyTicks = fs.readFileSync("/proc/stat", "utf8").split(/\s+/, 8).slice(1)
      .reduce((sum, ticks, i) => i === 3 || i === 4 ? sum : sum + Number(ticks), 0);
    const own = process.cpuUsage();
    return { others: busyTicks / 100 - (own.user + own.system) * 1e-6,
             wall: Number(process.hrtime.bigint()) * 1e-9 };
  };
  const start = now();
  return () => {
    const end = now();
    return (end.others - start.others) / (end.wall - start.wall);
  };
}

const measured = cases();
if (measured.length === 0) {
  console.error(`onnxruntime: no model to run in ${options.models}`);
  process.exit(1);
}
// The cases take turns, so that a slow second of the machine hits all of them alike. Every session
// has threads of its own, which spin for a while after their last run: let them fall asleep.
const bell = new Int32Array(new SharedArrayBuffer(4));
let dropped = 0, busy = false;
for (let round = 0; round < rounds;) {
  const others = bystanders();
  for (const c of measured) {
    Atomics.wait(bell, 0, 0, 20);
    c.run();
    if (!c.calls) {
      c.run();
      c.calls = Math.max(1, Math.round(Number(options.seconds) / rounds / timed(1, c.run)));
    }
    c.last = timed(c.calls, c.run);
  }
  // As in bystanders.hpp: a round that other programs disturbed counts only if there are too many.
  const disturbed = others() > 0.1;
  if (disturbed && dropped < rounds) {
    ++dropped;
    continue;
  }
  busy ||= disturbed;
  for (const c of measured) c.times.push(c.last);
  ++round;
}
for (const c of measured) {
  c.times.sort((a, b) => a - b);
  const middle = median(c.times);
  console.log(JSON.stringify({
    kind: "peer", name: `${c.network}/onnxruntime-${c.form}`, precision: precisions[c.form],
    threads: c.threads, batch: c.batch, value: middle * 1e3 / c.batch, unit: "ms/image",
    spread: (median(c.times, 0.75) - median(c.times, 0.25)) / middle, peak_share: null,
    ...(busy ? { note: "other programs were running" } : {}),
  }));
}
