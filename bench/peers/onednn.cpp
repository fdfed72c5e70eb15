// SPDX-License-Identifier: Apache-2.0
// The convolutions of the measured networks in oneDNN, one after the other, and nothing else: no
// additions, pools or quantization of the image. Each reads what the one before has written, in
// memory that two buffers share. A lower bound of what a network of these kernels takes.
//
//   bench_onednn [--network NAME]... [--threads N]... [--batch N]... [--seconds S] [--json FILE]
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <dnnl.hpp>
#include <exception>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../bystanders.hpp"
#include "../networks.hpp"
#include "../record.hpp"
#include "../sampling.hpp"

namespace {

using bitdial::nn::LayerCost;
using Type = dnnl::memory::data_type;

struct Options {
  std::vector<std::string> networks;
  std::vector<int> threads{1, 2};
  std::vector<std::int64_t> batches{1};
  double seconds = 0.5;
  std::string json;
};

Options parse_options(int argc, char** argv) {
  Options options;
  for (const auto& network : bench::inference_networks()) {
    options.networks.emplace_back(network.name);
  }
  CLI::App app{"Sums of oneDNN's convolutions over the layers of whole networks."};
  app.add_option("--network", options.networks, "whose layers")
      ->check(CLI::IsMember(options.networks))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "numbers of threads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--batch", options.batches, "images per call")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "time for each line of the table")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", options.json, "write one JSON object per line to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

/// One precision of all convolutions: u8 times s8 with u8 results, or f32.
struct Arithmetic {
  const char* precision;
  Type activations, weights, bias;
};

constexpr Arithmetic arithmetics[] = {{"w8a8", Type::u8, Type::s8, Type::s32},
                                      {"f32", Type::f32, Type::f32, Type::f32}};

/// Convolutions that run in order; layer i reads buffer i % 2 and writes the other one.
class Chain {
 public:
  Chain(const dnnl::engine& engine, const std::vector<LayerCost>& layers,
        const Arithmetic& arithmetic, std::int64_t batch)
      : stream_{engine} {
    std::vector<dnnl::convolution_forward::primitive_desc> descriptions;
    std::size_t largest = 0;
    for (const LayerCost& layer : layers) {
      descriptions.push_back(describe(engine, layer, arithmetic, batch));
      largest = std::max({largest, descriptions.back().src_desc().get_size(),
                          descriptions.back().dst_desc().get_size()});
    }
    for (auto& buffer : buffers_) {
      buffer = dnnl::memory({{static_cast<std::int64_t>(largest)}, Type::u8, {1}}, engine);
      std::memset(buffer.get_data_handle(), 0, largest);
    }
    for (std::size_t i = 0; i < descriptions.size(); ++i) {
      const auto& d = descriptions[i];
      primitives_.emplace_back(d);
      arguments_.push_back(
          {{DNNL_ARG_SRC, dnnl::memory(d.src_desc(), engine, buffers_[i % 2].get_data_handle())},
           {DNNL_ARG_DST,
            dnnl::memory(d.dst_desc(), engine, buffers_[(i + 1) % 2].get_data_handle())},
           {DNNL_ARG_WEIGHTS, random(d.weights_desc(), engine, arithmetic.weights)},
           {DNNL_ARG_BIAS, random(d.bias_desc(), engine, arithmetic.bias)}});
    }
  }

  void run() {
    for (std::size_t i = 0; i < primitives_.size(); ++i) {
      primitives_[i].execute(stream_, arguments_[i]);
    }
    stream_.wait();
  }

 private:
  static dnnl::convolution_forward::primitive_desc describe(const dnnl::engine& engine,
                                                            const LayerCost& layer,
                                                            const Arithmetic& arithmetic,
                                                            std::int64_t batch) {
    using Tag = dnnl::memory::format_tag;
    const auto& g = layer.geometry;
    const auto& w = g.window;
    // The smallest image that gives this output.
    const std::int64_t height = (layer.output[0] - 1) * w.stride_h + w.kernel_h - 2 * w.padding_h;
    const std::int64_t width = (layer.output[1] - 1) * w.stride_w + w.kernel_w - 2 * w.padding_w;
    const dnnl::memory::desc source{
        {batch, g.in_channels, height, width}, arithmetic.activations, Tag::any};
    const dnnl::memory::desc target{{batch, g.out_channels, layer.output[0], layer.output[1]},
                                    arithmetic.activations,
                                    Tag::any};
    const std::int64_t in = g.in_channels / g.groups, out = g.out_channels / g.groups;
    const dnnl::memory::dims weight_shape =
        g.groups == 1 ? dnnl::memory::dims{out, in, w.kernel_h, w.kernel_w}
                      : dnnl::memory::dims{g.groups, out, in, w.kernel_h, w.kernel_w};
    const dnnl::memory::desc weights{weight_shape, arithmetic.weights, Tag::any};
    const dnnl::memory::desc bias{{g.out_channels}, arithmetic.bias, Tag::a};
    dnnl::primitive_attr attributes;
    dnnl::post_ops after;
    after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    attributes.set_post_ops(after);
    if (arithmetic.activations == Type::u8) {
      attributes.set_output_scales(
          2, std::vector<float>(static_cast<std::size_t>(g.out_channels), 0.01F));
    }
    return {{dnnl::prop_kind::forward_inference,
             dnnl::algorithm::convolution_direct,
             source,
             weights,
             bias,
             target,
             {w.stride_h, w.stride_w},
             {w.padding_h, w.padding_w},
             {w.padding_h, w.padding_w}},
            attributes,
            engine};
  }

  static dnnl::memory random(const dnnl::memory::desc& description, const dnnl::engine& engine,
                             Type type) {
    dnnl::memory memory(description, engine);
    std::minstd_rand numbers;
    const std::size_t bytes = description.get_size();
    if (type == Type::s8) {
      auto* const data = static_cast<std::int8_t*>(memory.get_data_handle());
      std::generate_n(data, bytes, [&] { return static_cast<std::int8_t>(numbers() % 256 - 128); });
    } else if (type == Type::f32) {
      auto* const data = static_cast<float*>(memory.get_data_handle());
      std::generate_n(data, bytes / sizeof(float),
                      [&] { return 0.01F * static_cast<float>(numbers() % 7) - 0.02F; });
    } else {
      std::memset(memory.get_data_handle(), 0, bytes);
    }
    return memory;
  }

  dnnl::stream stream_;
  dnnl::memory buffers_[2];
  std::vector<dnnl::convolution_forward> primitives_;
  std::vector<std::unordered_map<int, dnnl::memory>> arguments_;
};

/// One line of the table while it is measured.
struct Case {
  Case(const dnnl::engine& engine, const std::vector<LayerCost>& layers, const Arithmetic& kind,
       std::int64_t images, int team)
      : arithmetic{kind}, batch{images}, threads{team}, chain{engine, layers, kind, images} {}

  Arithmetic arithmetic;
  std::int64_t batch;
  int threads;
  Chain chain;
  std::int64_t calls = 0;
  double last = 0.0;  ///< seconds per call in this round
  bench::Samples seconds{};
};

void measure_network(const bench::NetworkCase& network, const Options& options,
                     bench::RecordWriter& writer) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const auto cost = bitdial::nn::cost(*network.build(bench::eight_bits), network.image);
  std::deque<Case> cases;
  for (const Arithmetic& arithmetic : arithmetics) {
    for (const std::int64_t batch : options.batches) {
      for (const int threads : options.threads) {
        omp_set_num_threads(threads);  // oneDNN chooses its kernels for them
        cases.emplace_back(engine, cost.layers, arithmetic, batch, threads);
      }
    }
  }
  constexpr int rounds = 11;
  const bool busy = bench::collect_undisturbed(
      rounds,
      [&] {
        for (Case& c : cases) {
          omp_set_num_threads(c.threads);
          const auto run = [&] { c.chain.run(); };
          run();
          if (c.calls == 0) c.calls = bench::calls_for(options.seconds / rounds, run);
          c.last = bench::seconds_per_call(c.calls, run);
        }
      },
      [&] {
        for (Case& c : cases) c.seconds.add(c.last);
      });
  for (const Case& c : cases) {
    const double per_image = c.seconds.median() / static_cast<double>(c.batch);
    writer.write({.kind = "peer",
                  .name = bitdial::concat(network.name, "/onednn-convolutions"),
                  .precision = c.arithmetic.precision,
                  .threads = c.threads,
                  .batch = c.batch,
                  .value = per_image * 1e3,
                  .unit = "ms/image",
                  .spread = c.seconds.spread(),
                  .gmacs = static_cast<double>(cost.multiply_accumulates()) / per_image * 1e-9,
                  .note = busy ? bench::busy_note : ""});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  try {
    bench::RecordWriter writer{options.json};
    writer.header();
    for (const bench::NetworkCase& network : bench::inference_networks()) {
      if (std::ranges::count(options.networks, network.name) > 0) {
        measure_network(network, options, writer);
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_onednn: %s\n", error.what());
    return 1;
  }
  return 0;
}
