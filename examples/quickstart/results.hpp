// SPDX-License-Identifier: Apache-2.0
// What the quickstart leaves behind: a table, summary.json, history.csv, report.html.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include <bitdial/deploy/linux_sensors.hpp>
#include <bitdial/io/write_file.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/train/json.hpp>
#include <bitdial/train/report.hpp>

#include "deployment.hpp"

namespace quickstart {

inline void write_text(const std::string& path, const std::string& text) {
  bitdial::io::write_file(path, std::as_bytes(std::span{text.data(), text.size()})).value();
}

inline bitdial::train::Table result_table(const std::vector<Outcome>& outcomes, int threads) {
  namespace train = bitdial::train;
  train::Table table({{"precision", train::Align::left},
                      {"top-1 fake-quant"},
                      {"top-1 packed"},
                      {"identical", train::Align::left},
                      {"weight bytes"},
                      {"ms/image, 1 thread"},
                      {bitdial::concat("ms/image, ", threads, " threads")}});
  for (const Outcome& outcome : outcomes) {
    table.add_row({outcome.precision, train::percent(outcome.top1_fake_quant, 2),
                   train::percent(outcome.top1_packed, 2), outcome.identical ? "yes" : "NO",
                   train::grouped(outcome.bytes), train::fixed(outcome.ms_1_thread, 3),
                   train::fixed(outcome.ms_all_threads, 3)});
  }
  return table;
}

inline std::string summary_json(const std::vector<Outcome>& outcomes) {
  bitdial::train::JsonWriter json;
  json.begin_array();
  for (const Outcome& outcome : outcomes) {
    json.begin_object()
        .member("precision", outcome.precision)
        .member("top1_fake_quant", outcome.top1_fake_quant)
        .member("top1_packed", outcome.top1_packed)
        .member("identical", outcome.identical)
        .member("bytes", outcome.bytes)
        .member("ms_1_thread", outcome.ms_1_thread)
        .member("ms_all_threads", outcome.ms_all_threads)
        .end();
  }
  json.end();
  return json.text();
}

inline bitdial::train::Report make_report(const Options& options, const Images& images,
                                          const Trained& trained,
                                          const std::vector<Outcome>& outcomes,
                                          const std::string& command) {
  namespace train = bitdial::train;
  train::Report report;
  report.title = "One file, " + bitdial::concat(outcomes.size()) + " precisions";
  report.summary = bitdial::concat(
      "A switchable ", options.network, " trained on ", images.train.name(), " for ",
      options.epochs,
      " epochs, packed into one file and reloaded from disk; every number below was ",
      "measured on ", train::grouped(images.test.size()), " test images.");
  const auto identical = std::ranges::all_of(outcomes, &Outcome::identical);
  report.highlights = {{bitdial::concat("top-1 at ", outcomes.front().precision),
                        train::percent(outcomes.front().top1_packed, 2)},
                       {bitdial::concat("top-1 at ", outcomes.back().precision),
                        train::percent(outcomes.back().top1_packed, 2)},
                       {bitdial::concat("bytes at ", outcomes.back().precision),
                        train::grouped(outcomes.back().bytes)},
                       {"packed network identical", identical ? "yes" : "NO"}};
  // Of a resumed run only the last part is known.
  if (!options.resume) {
    report.highlights.push_back({"training time", train::duration(trained.seconds)});
  }
  report.loss = trained.history.loss_curves();
  report.accuracy = trained.history.test_curves();
  for (const Outcome& outcome : outcomes) {
    report.latency.push_back({.name = outcome.precision,
                              .points = {{.x = outcome.ms_1_thread, .y = outcome.top1_packed}}});
  }
  report.results = result_table(outcomes, options.threads);
  report.results_note =
      "Fake-quant: the trained network in evaluation mode. Packed: the integer network from the "
      "file. Identical: all logits of all test images, bit for bit. Bytes: the packed weights that "
      "this precision reads. Milliseconds: median at batch 1.";
  report.facts = {{"command", command},
                  {"machine", bitdial::LinuxSensors{}.cpu_model()},
                  {"kernels", std::string{bitdial::kernels::active_kernels().name}},
                  {"threads", bitdial::concat(options.threads)},
                  {"training images", train::grouped(images.train.size())},
                  {"parameters", train::grouped(bitdial::nn::parameter_count(*trained.network))},
                  {"seed", bitdial::concat(options.seed)}};
  return report;
}

}  // namespace quickstart
