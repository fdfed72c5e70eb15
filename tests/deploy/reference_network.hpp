// SPDX-License-Identifier: Apache-2.0
// Packed networks of random codes, and what they must compute: a naive evaluation node by node,
// with 64-bit sums over the taps inside the image. It shares no code with the executor.
#pragma once

#include <bitdial/deploy/packed_network.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace reference {

using namespace bitdial;
using ops::GraphNode;
using ops::NodeKind;
using ops::Window;

enum class WeightFamily { dorefa, nested };
enum class ActivationFamily { one_sided, two_sided, random_steps };

struct Style {
  WeightFamily weights = WeightFamily::dorefa;
  ActivationFamily activations = ActivationFamily::one_sided;
  unsigned seed = 1;
};

/// What a run must give: the output, and the codes that each graph node's layer multiplies.
struct Expected {
  std::vector<float> outputs;
  std::map<int, std::vector<std::uint8_t>> codes;  ///< by layer
};

class Network {
 public:
  PackedNetwork packed;

  Network(const Shape& input, const Style& style) : style_{style}, random_{style.seed} {
    packed.input_shape = input;
    add_node({.kind = NodeKind::input}, {input[0], input[1], input[2]});
  }

  /// The last layer reads other activations than the rest of the network.
  void read(ActivationFamily family) { families_.back() = family; }

  int conv(int x, std::int64_t cout, const Window& window) {
    families_.push_back(style_.activations);
    const Extent in = extents_[index(x)];
    const Extent out{window.output_h(in.h), window.output_w(in.w), cout};
    packed.layers.push_back({.name = "conv" + std::to_string(packed.layers.size()),
                             .kind = NodeKind::conv2d,
                             .cout = cout,
                             .kernel_h = window.kernel_h,
                             .kernel_w = window.kernel_w,
                             .cin = in.c,
                             .packs = {}});
    return add_node(
        {.kind = NodeKind::conv2d, .inputs = {x, -1}, .layer = last_layer(), .window = window},
        out);
  }
  int grouped_conv(int x, std::int64_t cout, std::int64_t groups, const Window& window) {
    const int node = conv(x, cout, window);
    packed.graph.nodes.back().kind = NodeKind::grouped_conv2d;
    packed.layers.back().kind = NodeKind::grouped_conv2d;
    packed.layers.back().groups = groups;
    return node;
  }
  int depthwise(int x, const Window& window) {
    const std::int64_t channels = extents_[index(x)].c;
    return grouped_conv(x, channels, channels, window);
  }
  int linear(int x, std::int64_t cout) {
    families_.push_back(style_.activations);
    const Extent in = extents_[index(x)];
    packed.layers.push_back({.name = "linear" + std::to_string(packed.layers.size()),
                             .kind = NodeKind::linear,
                             .cout = cout,
                             .cin = in.h * in.w * in.c,
                             .packs = {}});
    return add_node({.kind = NodeKind::linear, .inputs = {x, -1}, .layer = last_layer()},
                    {1, 1, cout});
  }
  int relu(int x) {
    return add_node({.kind = NodeKind::relu, .inputs = {x, -1}}, extents_[index(x)]);
  }
  int add(int x, int y) {
    return add_node({.kind = NodeKind::add, .inputs = {x, y}}, extents_[index(x)]);
  }
  int concat(int x, int y) {
    const Extent a = extents_[index(x)], b = extents_[index(y)];
    return add_node({.kind = NodeKind::concat, .inputs = {x, y}}, {a.h, a.w, a.c + b.c});
  }
  int pool(NodeKind kind, int x, const Window& window) {
    const Extent in = extents_[index(x)];
    return add_node({.kind = kind, .inputs = {x, -1}, .window = window},
                    {window.output_h(in.h), window.output_w(in.w), in.c});
  }
  int global_average_pool(int x) {
    return add_node({.kind = NodeKind::global_average_pool, .inputs = {x, -1}},
                    {1, 1, extents_[index(x)].c});
  }

  /// Draws weights for all layers at these widths. Call it after the last node.
  void draw_weights(const std::vector<int>& widths) {
    codes_.resize(packed.layers.size());
    for (std::size_t i = 0; i < packed.layers.size(); ++i) {
      const auto count = static_cast<std::size_t>(packed.layers[i].cout * packed.layers[i].depth());
      if (style_.weights == WeightFamily::nested) {
        const std::vector<std::uint8_t> wide = draw_codes(count, 8);
        packed.add_weights(i, wide, {.bits = 8, .nested = true});
        for (const int width : widths) {
          for (const std::uint8_t code : wide) {
            codes_[i][width].push_back(static_cast<std::uint8_t>(code >> (8 - width)));
          }
        }
        continue;
      }
      for (const int width : widths) {
        codes_[i][width] = draw_codes(count, width);
        packed.add_weights(i, codes_[i][width], {.bits = width, .nested = false});
      }
    }
  }

  /// Adds a plan with random epilogues that keep most activations in range.
  void add_plan(const PrecisionPlan& plan) {
    PackedPlan state{.requested = plan, .layers = {}};
    for (std::size_t i = 0; i < packed.layers.size(); ++i) {
      const PackedLayer& layer = packed.layers[i];
      LayerState own;
      own.executed = plan.at(i);
      own.weight_levels = weight_levels(own.executed.w);
      own.activation_levels = activation_levels(families_[i], own.executed.a);
      own.encoder = packed.add_encoder(encoder(families_[i], own.executed.a));
      const double weight = std::max(1.0, std::ldexp(1.0, own.executed.w - 1));
      const double activation = std::ldexp(1.0, own.executed.a) - 0.5;
      const double size = std::sqrt(static_cast<double>(layer.depth())) * weight * activation;
      std::uniform_real_distribution<double> gain{-1.5, 1.5}, shift{-0.3, 0.9};
      for (std::int64_t c = 0; c < layer.cout; ++c) {
        own.multiplier.push_back(static_cast<float>(gain(random_) / size));
        own.bias.push_back(static_cast<float>(shift(random_)));
      }
      state.layers.push_back(std::move(own));
    }
    packed.plans.push_back(std::move(state));
  }

  [[nodiscard]] std::vector<std::uint8_t> draw_images(int count) {
    return draw_codes(static_cast<std::size_t>(packed.input_shape.size() * count), 8);
  }
  [[nodiscard]] std::int64_t output_size() const { return extents_.back().size(); }

  [[nodiscard]] Expected evaluate(std::size_t plan, const std::vector<std::uint8_t>& images) const {
    std::vector<float> values;
    for (const std::uint8_t u : images) values.push_back(static_cast<float>(u) / 255.0F);
    return evaluate(plan, values);
  }

  /// Evaluates `plan` on images [N, H, W, C], node by node.
  [[nodiscard]] Expected evaluate(std::size_t plan, const std::vector<float>& images) const {
    Expected expected;
    std::vector<std::vector<float>> values;
    const auto size = static_cast<std::size_t>(packed.input_shape.size());
    const std::size_t count = images.size() / size;
    for (std::size_t i = 0; i < packed.graph.nodes.size(); ++i) {
      const GraphNode& node = packed.graph.nodes[i];
      if (node.kind == NodeKind::input) {
        values.push_back(images);
        continue;
      }
      const std::vector<float>& x = values[index(node.inputs[0])];
      const Extent in = extents_[index(node.inputs[0])], out = extents_[i];
      std::vector<float> y;
      switch (node.kind) {
        case NodeKind::conv2d:
        case NodeKind::grouped_conv2d:
        case NodeKind::linear:
          y = matrix(plan, node, x, in, out, count, expected);
          break;
        case NodeKind::relu:
          for (const float v : x) y.push_back(v > 0 ? v : 0.0F);
          break;
        case NodeKind::add:
          for (std::size_t k = 0; k < x.size(); ++k) {
            y.push_back(x[k] + values[index(node.inputs[1])][k]);
          }
          break;
        case NodeKind::concat: {
          const std::vector<float>& other = values[index(node.inputs[1])];
          const std::int64_t second = out.c - in.c;
          for (std::size_t pixel = 0; pixel * index(in.c) < x.size(); ++pixel) {
            for (std::int64_t c = 0; c < in.c; ++c) y.push_back(x[pixel * index(in.c) + index(c)]);
            for (std::int64_t c = 0; c < second; ++c) {
              y.push_back(other[pixel * index(second) + index(c)]);
            }
          }
          break;
        }
        case NodeKind::global_average_pool:
          y = pooled(node, {in.h, in.w, 1, 1, 0, 0, 1, 1}, x, in, out, count);
          break;
        default:
          y = pooled(node, node.window, x, in, out, count);
          break;
      }
      values.push_back(std::move(y));
    }
    expected.outputs = values.back();
    return expected;
  }

 private:
  struct Extent {
    std::int64_t h = 1, w = 1, c = 1;
    [[nodiscard]] std::int64_t size() const { return h * w * c; }
  };

  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }
  [[nodiscard]] std::int32_t last_layer() const {
    return static_cast<std::int32_t>(packed.layers.size()) - 1;
  }
  int add_node(const GraphNode& node, const Extent& extent) {
    extents_.push_back(extent);
    return packed.graph.append(node);
  }
  std::vector<std::uint8_t> draw_codes(std::size_t count, int bits) {
    std::uniform_int_distribution<int> code{0, (1 << bits) - 1};
    std::vector<std::uint8_t> codes(count);
    for (std::uint8_t& c : codes) c = static_cast<std::uint8_t>(code(random_));
    return codes;
  }

  [[nodiscard]] IntegerLevels weight_levels(int k) const {
    if (style_.weights == WeightFamily::nested) return {1.0F, 1, -(1 << (k - 1))};
    return {1.0F, 2, -((1 << k) - 1)};
  }
  [[nodiscard]] static IntegerLevels activation_levels(ActivationFamily family, int k) {
    if (family == ActivationFamily::one_sided) return {1.0F, 1, 0};
    if (family == ActivationFamily::two_sided) return {1.0F, 2, -((1 << k) - 1)};
    return {1.0F, 3, 7};
  }
  [[nodiscard]] static ActivationEncoder encoder(ActivationFamily family, int k) {
    const int n = (1 << k) - 1;
    if (family == ActivationFamily::one_sided) {
      return make_activation_encoder(
          [n](float x) {
            return static_cast<int>(
                std::nearbyint(std::clamp(x, 0.0F, 1.0F) * static_cast<float>(n)));
          },
          k);
    }
    if (family == ActivationFamily::two_sided) {
      return make_activation_encoder(
          [n](float x) {
            const float half = (std::tanh(x) + 1.0F) * 0.5F;
            return static_cast<int>(std::nearbyint(half * static_cast<float>(n)));
          },
          k);
    }
    // Fewer thresholds than codes, some of them equal; the same ones for each width.
    std::mt19937 steps{static_cast<unsigned>(k)};
    std::uniform_real_distribution<float> step{-0.5F, 1.2F};
    ActivationEncoder random{.bits = k, .thresholds = {}};
    for (int i = 0; i < n; ++i) random.thresholds.push_back(step(steps));
    std::sort(random.thresholds.begin(), random.thresholds.end());
    if (n > 2) random.thresholds[1] = random.thresholds[2];
    if (n > 6) random.thresholds.resize(static_cast<std::size_t>(n - 2));
    return random;
  }

  [[nodiscard]] std::vector<float> matrix(std::size_t plan, const GraphNode& node,
                                          const std::vector<float>& x, Extent in, const Extent& out,
                                          std::size_t count, Expected& expected) const {
    const LayerState& state = packed.plans[plan].layers[index(node.layer)];
    const ActivationEncoder& encode = packed.encoders[index(state.encoder)];
    const std::vector<std::uint8_t>& weights = codes_[index(node.layer)].at(state.executed.w);
    std::vector<std::uint8_t> u;
    for (const float v : x) {
      int code = 0;
      for (const float threshold : encode.thresholds) code += v >= threshold ? 1 : 0;
      u.push_back(static_cast<std::uint8_t>(code));
    }
    expected.codes[node.layer] = u;
    if (node.kind == NodeKind::linear) in = {1, 1, in.size()};
    const std::int64_t groups = packed.layers[index(node.layer)].groups;
    const std::int64_t depth = in.c / groups;
    const Window window = node.kind == NodeKind::linear ? Window{} : node.window;
    std::vector<float> y;
    for (std::size_t n = 0; n < count; ++n) {
      for (std::int64_t oy = 0; oy < out.h; ++oy) {
        for (std::int64_t ox = 0; ox < out.w; ++ox) {
          for (std::int64_t c = 0; c < out.c; ++c) {
            std::int64_t sum = 0;
            for (std::int64_t ky = 0; ky < window.kernel_h; ++ky) {
              for (std::int64_t kx = 0; kx < window.kernel_w; ++kx) {
                const std::int64_t iy =
                    oy * window.stride_h - window.padding_h + ky * window.dilation_h;
                const std::int64_t ix =
                    ox * window.stride_w - window.padding_w + kx * window.dilation_w;
                if (iy < 0 || iy >= in.h || ix < 0 || ix >= in.w) continue;
                for (std::int64_t k = 0; k < depth; ++k) {
                  const std::uint8_t q = weights[index(
                      ((c * window.kernel_h + ky) * window.kernel_w + kx) * depth + k)];
                  const std::int64_t channel = c / (out.c / groups) * depth + k;
                  const std::uint8_t a = u[index(
                      ((static_cast<std::int64_t>(n) * in.h + iy) * in.w + ix) * in.c + channel)];
                  sum +=
                      std::int64_t{state.weight_levels.level(q)} * state.activation_levels.level(a);
                }
              }
            }
            y.push_back(std::fma(static_cast<float>(sum), state.multiplier[index(c)],
                                 state.bias[index(c)]));
          }
        }
      }
    }
    return y;
  }

  [[nodiscard]] static std::vector<float> pooled(const GraphNode& node, const Window& window,
                                                 const std::vector<float>& x, const Extent& in,
                                                 const Extent& out, std::size_t count) {
    std::vector<float> y;
    for (std::size_t n = 0; n < count; ++n) {
      for (std::int64_t oy = 0; oy < out.h; ++oy) {
        for (std::int64_t ox = 0; ox < out.w; ++ox) {
          for (std::int64_t c = 0; c < out.c; ++c) {
            int taps = 0;
            float sum = 0, best = -std::numeric_limits<float>::infinity();
            for (std::int64_t ky = 0; ky < window.kernel_h; ++ky) {
              for (std::int64_t kx = 0; kx < window.kernel_w; ++kx) {
                const std::int64_t iy =
                    oy * window.stride_h - window.padding_h + ky * window.dilation_h;
                const std::int64_t ix =
                    ox * window.stride_w - window.padding_w + kx * window.dilation_w;
                if (iy < 0 || iy >= in.h || ix < 0 || ix >= in.w) continue;
                const float v =
                    x[index(((static_cast<std::int64_t>(n) * in.h + iy) * in.w + ix) * in.c + c)];
                sum += v;
                const bool best_is_nan = std::isnan(best) && !std::isnan(v);
                best = taps++ == 0 || v > best || best_is_nan ? v : best;
              }
            }
            const float mean = sum / static_cast<float>(window.kernel_h * window.kernel_w);
            y.push_back(node.kind == NodeKind::max_pool2d ? best : mean);
          }
        }
      }
    }
    return y;
  }

  Style style_;
  std::mt19937 random_;
  std::vector<Extent> extents_;
  std::vector<ActivationFamily> families_;                       ///< by layer
  std::vector<std::map<int, std::vector<std::uint8_t>>> codes_;  ///< by layer, then width
};

/// A ResNet in small: stem, a block with a projection, a block without, pool, classifier.
inline Network residual_network(const Style& style) {
  Network net{{5, 7, 3}, style};
  const int stem = net.relu(net.conv(0, 5, Window::square(3, {.padding = 1})));
  const int main1 = net.relu(net.conv(stem, 17, Window::square(3, {.stride = 2, .padding = 1})));
  const int main2 = net.conv(main1, 17, Window::square(3, {.padding = 1}));
  const int side = net.conv(stem, 17, Window::square(1, {.stride = 2}));
  const int block = net.relu(net.add(main2, side));
  const int inner = net.relu(net.conv(block, 5, Window::square(1)));
  const int outer = net.conv(inner, 17, Window::square(3, {.padding = 1}));
  const int sum = net.relu(net.add(block, outer));
  static_cast<void>(net.linear(net.global_average_pool(sum), 10));
  return net;
}

/// Windows of every kind: dilated, rectangular, unpadded, wider than the image; pools; a classifier
/// over an image.
inline Network window_network(const Style& style) {
  Network net{{7, 5, 3}, style};
  int x = net.conv(0, 40, Window::square(3, {.padding = 2, .dilation = 2}));
  x = net.pool(NodeKind::max_pool2d, x, Window::square(3, {.stride = 2, .padding = 1}));
  x = net.conv(x, 3, {.kernel_h = 2, .kernel_w = 3, .padding_h = 0, .padding_w = 1});
  x = net.pool(NodeKind::average_pool2d, x, Window::square(2, {.padding = 1}));
  x = net.conv(x, 17, {.kernel_h = 5, .kernel_w = 1, .stride_w = 2, .padding_h = 3});
  static_cast<void>(net.linear(net.relu(x), 5));
  return net;
}

/// A depthwise layer of codes without an offset, a ReLU, and a reader whose codes change below 0.
inline Network rectified_network(unsigned seed) {
  Network net{{6, 5, 3}, {.seed = seed}};
  int x = net.relu(net.conv(0, 40, Window::square(1)));
  x = net.relu(net.depthwise(x, Window::square(3, {.padding = 1})));
  x = net.conv(x, 9, Window::square(1));
  net.read(ActivationFamily::two_sided);
  static_cast<void>(net.linear(net.global_average_pool(x), 5));
  return net;
}

/// Depthwise layers that go from codes to codes, that keep values, that add; strides, dilation,
/// kernels wider than the image; a kernel's block filled by one pixel, by several, and not at all;
/// groups that are not depthwise.
inline Network grouped_network(const Style& style) {
  Network net{{9, 7, 3}, style};
  int x = net.relu(net.conv(0, 32, Window::square(1)));
  x = net.relu(net.depthwise(x, Window::square(3, {.padding = 1})));
  const int kept = net.conv(x, 20, Window::square(1));
  x = net.add(net.depthwise(kept, Window::square(3, {.padding = 2, .dilation = 2})), kept);
  x = net.depthwise(x, Window::square(3, {.stride = 2, .padding = 1}));
  x = net.grouped_conv(x, 30, 5, Window::square(3, {.padding = 1}));
  x = net.relu(net.grouped_conv(x, 90, 10, {.kernel_h = 2, .kernel_w = 1, .stride_w = 2}));
  x = net.depthwise(x, {.kernel_h = 5, .kernel_w = 4, .padding_h = 2, .padding_w = 2});
  x = net.depthwise(x, Window::square(1));
  static_cast<void>(net.linear(net.global_average_pool(x), 4));
  return net;
}

/// What fuses and what must not: a ReLU before an addition, a value added to itself, values with
/// several readers, an addition of two ReLUs, readers of the input, an image as the output.
inline Network join_network(const Style& style) {
  Network net{{4, 5, 5}, style};
  const int early = net.relu(0);
  const int left = net.relu(net.conv(0, 5, Window::square(3, {.padding = 1})));
  const int joined = net.add(left, 0);
  const int conv = net.conv(joined, 5, Window::square(1));
  const int twice = net.add(conv, conv);
  const int both = net.relu(net.add(twice, net.add(net.relu(twice), early)));
  const int a = net.conv(both, 5, Window::square(3, {.padding = 1}));
  const int b = net.conv(twice, 5, Window::square(1));
  const int sum = net.add(a, b);
  const int last = net.add(net.conv(sum, 5, Window::square(1)), sum);
  static_cast<void>(net.add(last, joined));
  return net;
}

/// Concatenations: of a convolution, a depthwise layer, pools, an addition and a ReLU; of parts
/// that have other readers, of the image, of a value with itself; nested, read by others in
/// between; read as codes, as values, by an addition; of classifiers, as the output.
inline Network concat_network(const Style& style) {
  Network net{{6, 5, 3}, style};
  const int stem = net.relu(net.conv(0, 8, Window::square(3, {.padding = 1})));
  const int row = net.relu(net.conv(stem, 5, {.kernel_w = 7, .padding_w = 3}));
  const int column = net.relu(net.conv(row, 9, {.kernel_h = 7, .padding_h = 3}));
  const int depthwise = net.depthwise(stem, Window::square(3, {.padding = 1}));
  const int mean = net.pool(NodeKind::average_pool2d, stem, Window::square(3, {.padding = 1}));
  const int first = net.concat(net.concat(net.conv(mean, 6, Window::square(1)), column), depthwise);
  // Readers of `first`: a convolution, a pool, a block that adds to it.
  const int inner = net.relu(net.conv(first, 23, {.kernel_h = 3, .padding_h = 1}));
  const int sum = net.add(net.conv(inner, 23, Window::square(1)), first);
  const int largest = net.pool(NodeKind::max_pool2d, first, Window::square(3, {.padding = 1}));
  const int grown = net.concat(sum, largest);
  const int more = net.concat(net.concat(grown, net.conv(grown, 4, Window::square(1))), 0);
  const int narrow = net.relu(net.conv(more, 16, Window::square(2, {.stride = 2})));
  const int rectified = net.concat(narrow, net.relu(net.conv(narrow, 3, Window::square(1))));
  const int twice = net.concat(rectified, rectified);
  const int pooled = net.pool(NodeKind::max_pool2d, rectified, Window::square(2));
  const int parts = net.concat(net.global_average_pool(twice), net.global_average_pool(pooled));
  const int left = net.linear(parts, 4);
  static_cast<void>(net.concat(net.relu(net.linear(parts, 3)), net.concat(left, left)));
  return net;
}

/// More output channels than the executor finishes at once, read as values, as codes, and as both.
inline Network wide_network(const Style& style) {
  Network net{{2, 3, 3}, style};
  const int wide = net.conv(0, 300, Window::square(1));
  const int codes_only = net.conv(wide, 270, Window::square(2, {.padding = 1}));
  const int sum = net.add(net.conv(codes_only, 300, Window::square(2)), wide);
  static_cast<void>(net.linear(net.global_average_pool(net.relu(sum)), 3));
  return net;
}

}  // namespace reference
