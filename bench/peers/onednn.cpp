// SPDX-License-Identifier: Apache-2.0
// The convolutions of the measured networks in oneDNN, one after the other, and nothing else: no
// additions, pools or quantization of the image. Each reads what the one before has written, in
// memory that two buffers share. A lower bound of what a network of these kernels takes. With
// --layers, and for convolutions that are no part of a network: the rate of each.
//
//   bench_onednn [--network NAME]... [--conv SHAPE]... [--threads N]... [--batch N]...
//                [--seconds S] [--json FILE] [--layers]
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
#include "../convolution.hpp"
#include "../layers.hpp"
#include "../networks.hpp"
#include "../record.hpp"
#include "../sampling.hpp"

namespace {

using bench::Convolution;
using Type = dnnl::memory::data_type;

struct Options {
  std::vector<std::string> networks;
  std::vector<std::string> convolutions{};
  std::vector<int> threads{1, 2};
  std::vector<std::int64_t> batches{1};
  double seconds = 0.5;
  std::string json;
  bool layers = false;
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
  app.add_option("--conv", options.convolutions,
                 "one convolution, for example 17x48,k5,s2,d2,56x56, as bench_models has it")
      ->check(CLI::Validator(bench::convolution_error, "SHAPE"));
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
  app.add_flag("--layers", options.layers, "the rate of every convolution, in the place of sums");
  try {
    app.parse(argc, argv);
    if (!options.convolutions.empty() && app.count("--network") == 0) options.networks.clear();
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
  Chain(const dnnl::engine& engine, const std::vector<Convolution>& layers,
        const Arithmetic& arithmetic, std::int64_t batch)
      : stream_{engine} {
    std::vector<dnnl::convolution_forward::primitive_desc> descriptions;
    std::size_t largest = 0;
    for (const Convolution& layer : layers) {
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
  /// The same, layer by layer.
  void run(bench::StepSeconds& clock) {
    for (std::size_t i = 0; i < primitives_.size(); ++i) {
      clock.begin(i);
      primitives_[i].execute(stream_, arguments_[i]);
      stream_.wait();
      clock.end(i);
    }
    clock.end_call();
  }

 private:
  static dnnl::convolution_forward::primitive_desc describe(const dnnl::engine& engine,
                                                            const Convolution& layer,
                                                            const Arithmetic& arithmetic,
                                                            std::int64_t batch) {
    using Tag = dnnl::memory::format_tag;
    const auto& w = layer.window;
    const dnnl::memory::desc source{
        {batch, layer.in_channels, layer.height, layer.width}, arithmetic.activations, Tag::any};
    const dnnl::memory::desc target{
        {batch, layer.out_channels, w.output_h(layer.height), w.output_w(layer.width)},
        arithmetic.activations,
        Tag::any};
    const std::int64_t in = layer.in_channels / layer.groups,
                       out = layer.out_channels / layer.groups;
    const dnnl::memory::dims weight_shape =
        layer.groups == 1 ? dnnl::memory::dims{out, in, w.kernel_h, w.kernel_w}
                          : dnnl::memory::dims{layer.groups, out, in, w.kernel_h, w.kernel_w};
    const dnnl::memory::desc weights{weight_shape, arithmetic.weights, Tag::any};
    const dnnl::memory::desc bias{{layer.out_channels}, arithmetic.bias, Tag::a};
    dnnl::primitive_attr attributes;
    dnnl::post_ops after;
    after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    attributes.set_post_ops(after);
    if (arithmetic.activations == Type::u8) {
      attributes.set_output_scales(
          2, std::vector<float>(static_cast<std::size_t>(layer.out_channels), 0.01F));
    }
    return {{dnnl::prop_kind::forward_inference,
             dnnl::algorithm::convolution_direct,
             source,
             weights,
             bias,
             target,
             {w.stride_h, w.stride_w},
             {w.dilation_h - 1, w.dilation_w - 1},
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

/// All layers of one shape.
struct ShapeRate {
  Convolution shape;
  int layers = 0;
  double last = 0.0;  ///< seconds per call of one of them in this round
  bench::Samples seconds{};
};

/// A chain of one arithmetic while it is measured.
struct Case {
  Case(const dnnl::engine& engine, const std::vector<Convolution>& layers, const Arithmetic& kind,
       std::int64_t images, int team)
      : arithmetic{kind}, batch{images}, threads{team}, chain{engine, layers, kind, images} {
    for (const Convolution& layer : layers) {
      const std::string text = layer.text();
      auto found =
          std::ranges::find_if(shapes, [&](const auto& s) { return s.shape.text() == text; });
      if (found == shapes.end()) found = shapes.insert(found, {.shape = layer});
      ++found->layers;
      shape_of.push_back(static_cast<std::size_t>(found - shapes.begin()));
    }
  }

  /// Seconds per call, of the chain and of its layers.
  void sample(double wanted, bool by_layer) {
    omp_set_num_threads(threads);
    const auto run = [&] { chain.run(); };
    run();
    if (calls == 0) calls = bench::calls_for(wanted, run);
    if (!by_layer) {
      last = bench::seconds_per_call(calls, run);
      return;
    }
    bench::StepSeconds clock{shape_of.size()};
    for (std::int64_t i = 0; i < calls; ++i) chain.run(clock);
    for (ShapeRate& shape : shapes) shape.last = 0.0;
    for (std::size_t i = 0; i < shape_of.size(); ++i) {
      ShapeRate& shape = shapes[shape_of[i]];
      shape.last += clock.median(i) / shape.layers;
    }
  }
  void keep(bool by_layer) {
    if (!by_layer) seconds.add(last);
    for (ShapeRate& shape : shapes) {
      if (by_layer) shape.seconds.add(shape.last);
    }
  }

  Arithmetic arithmetic;
  std::int64_t batch;
  int threads;
  Chain chain;
  std::vector<ShapeRate> shapes{};
  std::vector<std::size_t> shape_of{};  ///< by layer
  std::int64_t calls = 0;
  double last = 0.0;  ///< seconds per call in this round
  bench::Samples seconds{};
};

/// One line for all of `layers`, or one for each shape among them.
void measure(const std::string& name, const std::vector<Convolution>& layers, bool by_layer,
             const Options& options, bench::RecordWriter& writer) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  std::deque<Case> cases;
  for (const Arithmetic& arithmetic : arithmetics) {
    for (const std::int64_t batch : options.batches) {
      for (const int threads : options.threads) {
        omp_set_num_threads(threads);  // oneDNN chooses its kernels for them
        cases.emplace_back(engine, layers, arithmetic, batch, threads);
      }
    }
  }
  constexpr int rounds = 11;
  const bool busy = bench::collect_undisturbed(
      rounds,
      [&] {
        for (Case& c : cases) c.sample(options.seconds / rounds, by_layer);
      },
      [&] {
        for (Case& c : cases) c.keep(by_layer);
      });
  double all_macs = 0.0;
  for (const Convolution& layer : layers) all_macs += layer.multiply_accumulates();
  for (const Case& c : cases) {
    const auto images = static_cast<double>(c.batch);
    bench::Record record{.kind = "peer",
                         .name = name + "/onednn-convolutions",
                         .precision = c.arithmetic.precision,
                         .threads = c.threads,
                         .batch = c.batch,
                         .unit = "ms/image",
                         .note = busy ? bench::busy_note : ""};
    if (!by_layer) {
      record.value = c.seconds.median() / images * 1e3;
      record.spread = c.seconds.spread();
      record.gmacs = all_macs * images / c.seconds.median() * 1e-9;
      writer.write(record);
      continue;
    }
    for (const ShapeRate& shape : c.shapes) {
      record.name = bitdial::concat(shape.shape.kind(), '/', shape.shape.text(), "/onednn");
      record.value = record.gmacs =
          shape.shape.multiply_accumulates() * images / shape.seconds.median() * 1e-9;
      record.unit = "GMAC/s";
      record.spread = shape.seconds.spread();
      writer.write(record);
    }
  }
}

/// The convolutions of a network, in the order in which a session runs them.
std::vector<Convolution> layers_of(const bench::NetworkCase& network) {
  const bench::RandomModel random =
      bench::random_model(network, {bitdial::PrecisionPlan{bench::eight_bits}});
  const auto model = bitdial::Model::from_bytes(random.bytes).value();
  const auto session =
      bitdial::Session::create(model, {.path = bitdial::KernelPath::bytes}).value();
  std::vector<Convolution> layers;
  for (const auto& found : bench::convolutions_of(session, 0)) {
    if (found) layers.push_back(*found);
  }
  return layers;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  try {
    bench::RecordWriter writer{options.json};
    writer.header();
    for (const std::string& text : options.convolutions) {
      measure(text, {Convolution::parse(text)}, true, options, writer);
    }
    for (const bench::NetworkCase& network : bench::inference_networks()) {
      if (std::ranges::count(options.networks, network.name) > 0) {
        measure(std::string{network.name}, layers_of(network), options.layers, options, writer);
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_onednn: %s\n", error.what());
    return 1;
  }
  return 0;
}
