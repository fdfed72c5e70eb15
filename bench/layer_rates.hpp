// SPDX-License-Identifier: Apache-2.0
// The rate of every convolution of a model while the model runs, as records.
#pragma once

#include <algorithm>
#include <bitdial/core/random.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/runtime.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bystanders.hpp"
#include "convolution.hpp"
#include "layers.hpp"
#include "peak_rates.hpp"
#include "record.hpp"
#include "sampling.hpp"

namespace bench {

struct LayerRateOptions {
  std::vector<int> threads{1};
  std::vector<std::int64_t> batches{1};
  double seconds = 0.5;  ///< for each plan, number of threads and batch
};

namespace detail {

/// All layers of one shape at one precision: a line of the table.
struct LayerLine {
  Convolution shape;
  bitdial::Precision bits;
  int threads = 1;
  std::int64_t batch = 1;
  double round = 0.0;  ///< seconds per image of this round, summed over `layers`
  int layers = 0;      ///< of the network, in all plans
  Samples seconds{};

  [[nodiscard]] bool is(const LayerLine& other) const {
    return shape.text() == other.shape.text() && bits == other.bits && threads == other.threads &&
           batch == other.batch;
  }
};

/// One plan of a session, whose step s belongs to line lines[s], or to none.
struct LayerCase {
  std::size_t plan = 0;
  std::int64_t batch = 1;
  std::shared_ptr<bitdial::Session> session;
  std::vector<std::ptrdiff_t> lines{};
  std::int64_t calls = 0;
};

/// The cases of `options`, whose layers join `lines`.
[[nodiscard]] inline std::vector<LayerCase> layer_cases(const bitdial::Model& model,
                                                        const LayerRateOptions& options,
                                                        std::string_view only,
                                                        std::vector<LayerLine>& lines) {
  const auto line_of = [&](const LayerLine& line) {
    auto found = std::ranges::find_if(lines, [&](const LayerLine& l) { return l.is(line); });
    if (found == lines.end()) found = lines.insert(found, line);
    ++found->layers;
    return found - lines.begin();
  };
  std::vector<LayerCase> cases;
  for (const std::int64_t batch : options.batches) {
    for (const int threads : options.threads) {
      const auto session = std::make_shared<bitdial::Session>(
          bitdial::Session::create(model, {.threads = threads, .max_batch = batch}).value());
      for (std::size_t plan = 0; plan < model.plans().size(); ++plan) {
        LayerCase& own =
            cases.emplace_back(LayerCase{.plan = plan, .batch = batch, .session = session});
        const auto shapes = convolutions_of(*session, plan);
        for (std::size_t s = 0; s < shapes.size(); ++s) {
          own.lines.push_back(-1);
          if (!shapes[s] || !(only.empty() || shapes[s]->text() == only)) continue;
          const auto layer = static_cast<std::size_t>(session->steps(plan)[s].layer);
          own.lines.back() = line_of({.shape = *shapes[s],
                                      .bits = model.plans()[plan].layers[layer].executed,
                                      .threads = threads,
                                      .batch = batch});
        }
      }
    }
  }
  return cases;
}

}  // namespace detail

/// Measures every convolution of all plans, or only those whose text is `only`, each in its place:
/// its operand was just written by the step before. A layer's time holds what was fused into it.
/// With several images these run in groups, one after the other, each on all threads.
///
/// A record is named `conv/ISA/SHAPE`; layers of equal shape and precision share one.
inline void measure_layers(const bitdial::Model& model, const LayerRateOptions& options,
                           RecordWriter& writer, std::string_view only = {}) {
  const std::int64_t image = model.input_shape().size(), values = model.output_size();
  const std::int64_t most = *std::ranges::max_element(options.batches);
  std::vector<std::uint8_t> images(static_cast<std::size_t>(most * image));
  bitdial::Random random{3, 0};
  for (std::uint8_t& byte : images) byte = static_cast<std::uint8_t>(random.next() >> 24);
  std::vector<float> outputs(static_cast<std::size_t>(most * values));
  std::vector<detail::LayerLine> lines;
  std::vector<detail::LayerCase> cases = detail::layer_cases(model, options, only, lines);
  const std::string isa = cases.front().session->kernels().name;

  constexpr int rounds = 11;
  PeakRates peaks{isa};
  const bool busy = collect_undisturbed(
      rounds,
      [&] {
        peaks.sample();
        for (detail::LayerLine& line : lines) line.round = 0.0;
        for (detail::LayerCase& c : cases) {
          const auto input = std::span{images}.first(static_cast<std::size_t>(c.batch * image));
          const auto output = std::span{outputs}.first(static_cast<std::size_t>(c.batch * values));
          const auto warm = [&] { c.session->run(input, output, c.plan).value(); };
          warm();
          if (c.calls == 0) c.calls = calls_for(options.seconds / rounds, warm);
          StepSeconds clock{c.lines.size()};
          for (std::int64_t i = 0; i < c.calls; ++i) {
            c.session->run(input, output, c.plan, clock).value();
            clock.end_call();
          }
          for (std::size_t s = 0; s < c.lines.size(); ++s) {
            if (c.lines[s] < 0) continue;
            lines[static_cast<std::size_t>(c.lines[s])].round +=
                clock.median(s) / static_cast<double>(c.batch);
          }
        }
      },
      [&] {
        for (detail::LayerLine& line : lines) line.seconds.add(line.round / line.layers);
      });

  for (const detail::LayerLine& line : lines) {
    const double rate = line.shape.multiply_accumulates() / line.seconds.median() * 1e-9;
    // Layers in groups are made of other instructions.
    const double peak = line.shape.groups == 1 ? peaks.of(line.bits) * line.threads : 0.0;
    writer.write({.kind = "kernel",
                  .name = bitdial::concat(line.shape.kind(), '/', isa, '/', line.shape.text()),
                  .precision = line.bits.text(),
                  .threads = line.threads,
                  .batch = line.batch,
                  .value = rate,
                  .unit = "GMAC/s",
                  .spread = line.seconds.spread(),
                  .peak_share = peak > 0.0 ? rate / peak : -1.0,
                  .gmacs = rate,
                  .note = busy ? busy_note : ""});
  }
}

}  // namespace bench
