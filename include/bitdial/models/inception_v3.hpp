// SPDX-License-Identifier: Apache-2.0
// Inception-V3: branches with factorised kernels, switchable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <bitdial/models/inception_blocks.hpp>
#include <bitdial/nn/init.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// Width and interface of `inception_v3`.
struct InceptionV3Options {
  double width = 1.0;  ///< multiplies all channels
  InceptionStem stem = InceptionStem::published;
  std::int64_t in_channels = 3;
  std::int64_t classes = 1000;
  Precision first_and_last{.w = 8, .a = 8};  ///< of the stem and of the classifier, under any plan
};

namespace detail {

/// The blocks of Inception-V3, at one width. Each adds itself to a network and returns its output
/// channels.
template <class... Arguments>
class InceptionV3Blocks : public InceptionParts<Arguments...> {
  using Parts = InceptionParts<Arguments...>;

 public:
  using Branch = typename Parts::Branch;
  using Branches = typename Parts::Branches;

  InceptionV3Blocks(nn::Sequential& net, double width, const Parts& parts)
      : Parts{parts}, net_{net}, width_{width} {}

  [[nodiscard]] std::int64_t channels(std::int64_t published) const {
    return scaled_channels("inception_v3", published, width_);
  }

  /// 35 x 35: 1x1; 5x5; 3x3 and 3x3; average pool. `pool` channels behind the pool.
  [[nodiscard]] std::int64_t add_square(const std::string& name, std::int64_t in,
                                        std::int64_t pool) {
    Branch one{*this, in}, five{*this, in}, three{*this, in}, mean{*this, in};
    Branches branches;
    branches.add("one", one.conv("conv", channels(64), 1));
    branches.add("five", five.conv("reduce", channels(48), 1).conv("conv", channels(64), 5));
    branches.add("three", three.conv("reduce", channels(64), 1)
                              .conv("conv1", channels(96), 3)
                              .conv("conv2", channels(96), 3));
    branches.add("pool", mean.average_pool().conv("conv", channels(pool), 1));
    return add(name, branches);
  }

  /// 35 x 35 to 17 x 17.
  [[nodiscard]] std::int64_t add_first_reduction(const std::string& name, std::int64_t in) {
    Branch three{*this, in}, two{*this, in}, largest{*this, in};
    Branches branches;
    branches.add("three", three.reduce("conv", channels(384)));
    branches.add("double", two.conv("reduce", channels(64), 1)
                               .conv("conv1", channels(96), 3)
                               .reduce("conv2", channels(96)));
    branches.add("pool", largest.max_pool(halve));
    return add(name, branches);
  }

  /// 17 x 17: 1x1; 1x7 and 7x1; the two twice; average pool. `inner` channels between.
  [[nodiscard]] std::int64_t add_factorised(const std::string& name, std::int64_t in,
                                            std::int64_t inner) {
    const std::int64_t between = channels(inner), out = channels(192);
    Branch one{*this, in}, seven{*this, in}, two{*this, in}, mean{*this, in};
    Branches branches;
    branches.add("one", one.conv("conv", out, 1));
    branches.add(
        "seven",
        seven.conv("reduce", between, 1).conv("row", between, {1, 7}).conv("column", out, {7, 1}));
    branches.add("double", two.conv("reduce", between, 1)
                               .conv("column1", between, {7, 1})
                               .conv("row1", between, {1, 7})
                               .conv("column2", between, {7, 1})
                               .conv("row2", out, {1, 7}));
    branches.add("pool", mean.average_pool().conv("conv", out, 1));
    return add(name, branches);
  }

  /// 17 x 17 to 8 x 8.
  [[nodiscard]] std::int64_t add_second_reduction(const std::string& name, std::int64_t in) {
    const std::int64_t inner = channels(192);
    Branch three{*this, in}, seven{*this, in}, largest{*this, in};
    Branches branches;
    branches.add("three", three.conv("reduce", inner, 1).reduce("conv", channels(320)));
    branches.add("seven", seven.conv("reduce", inner, 1)
                              .conv("row", inner, {1, 7})
                              .conv("column", inner, {7, 1})
                              .reduce("conv", inner));
    branches.add("pool", largest.max_pool(halve));
    return add(name, branches);
  }

  /// 8 x 8: 1x1; 1x3 beside 3x1; 3x3 before 1x3 beside 3x1; average pool.
  [[nodiscard]] std::int64_t add_expanded(const std::string& name, std::int64_t in) {
    Branch one{*this, in}, three{*this, in}, two{*this, in}, mean{*this, in};
    Branches branches;
    branches.add("one", one.conv("conv", channels(320), 1));
    branches.add("three", add_split(three.conv("reduce", channels(384), 1)));
    branches.add("double",
                 add_split(two.conv("reduce", channels(448), 1).conv("conv", channels(384), 3)));
    branches.add("pool", mean.average_pool().conv("conv", channels(192), 1));
    return add(name, branches);
  }

 private:
  static constexpr ops::Window halve = ops::Window::square(3, {.stride = 2});

  [[nodiscard]] Branch& add_split(Branch& branch) const {
    Branch row{*this, branch.channels()}, column{*this, branch.channels()};
    Branches split;
    split.add("row", row.conv("conv", channels(384), {1, 3}));
    split.add("column", column.conv("conv", channels(384), {3, 1}));
    const std::int64_t out = split.channels();
    return branch.concat("split", split.take(), out);
  }

  [[nodiscard]] std::int64_t add(const std::string& name, Branches& branches) {
    const std::int64_t out = branches.channels();
    net_.add<nn::Concat>(name, branches.take());
    return out;
  }

  nn::Sequential& net_;
  double width_;
};

}  // namespace detail

/// Inception-V3 with per-switch batch normalisation: a stem of five convolutions, eleven blocks of
/// branches, global average pooling, a classifier. Kernels of 7 and, at the end, of 3 are split
/// into a row and a column. The auxiliary classifier of the paper's training is left out, and so is
/// dropout.
///
/// Input `[N, H, W, in_channels]` in [0, 1], at least 75 pixels high and wide with the published
/// stem, at least 15 with `conv3`; output logits `[N, classes]`. At 299 x 299 and width 1 it has
/// 23.8 million parameters and 5.71 billion multiply-accumulates. Padded taps of average pools
/// count. Layers are numbered; weights are still zero: call `nn::initialize`, then `add_plans`.
/// Throws `ConfigError` for a width that is not positive and for sizes below 1.
/// Source: Szegedy et al., 1512.00567, in the form that is in use (torchvision, without auxiliary
/// classifier).
template <class Bits, class WeightPolicy = DoReFaWeights, class ActivationPolicy = PactActivations,
          class Key = KeyByPair, class ClassifierPolicy = SawbWeights>
[[nodiscard]] std::unique_ptr<nn::Sequential> inception_v3(
    const InceptionV3Options& options,
    const NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy>& policies = {}) {
  using Blocks =
      detail::InceptionV3Blocks<Bits, WeightPolicy, ActivationPolicy, Key, ClassifierPolicy>;
  auto net = std::make_unique<nn::Sequential>();
  Blocks blocks{*net, options.width, {{policies}}};
  std::int64_t in = blocks.channels(192);
  if (options.stem == InceptionStem::published) {
    const ops::Window halve = ops::Window::square(3, {.stride = 2});
    const std::int64_t thin = blocks.channels(32), wide = blocks.channels(64);
    blocks.add_stem(*net, {.in = options.in_channels, .out = thin, .kernel = 3, .stride = 2},
                    options.first_and_last);
    typename Blocks::Branch rest{blocks, thin};
    rest.valid("conv2", thin).conv("conv3", wide, 3).max_pool(halve);
    net->add<nn::Sequential>("stem2", rest.take());
    typename Blocks::Branch last{blocks, wide};
    last.conv("conv4", blocks.channels(80), 1).valid("conv5", in).max_pool(halve);
    net->add<nn::Sequential>("stem3", last.take());
  } else {
    blocks.add_stem(*net, {.in = options.in_channels, .out = in, .kernel = 3, .padding = 1},
                    options.first_and_last);
  }
  in = blocks.add_square("mixed1", in, 32);
  in = blocks.add_square("mixed2", in, 64);
  in = blocks.add_square("mixed3", in, 64);
  in = blocks.add_first_reduction("mixed4", in);
  constexpr std::array<std::int64_t, 4> inner{128, 160, 160, 192};
  for (std::size_t i = 0; i < inner.size(); ++i) {
    in = blocks.add_factorised(concat("mixed", 5 + i), in, inner[i]);
  }
  in = blocks.add_second_reduction("mixed9", in);
  in = blocks.add_expanded("mixed10", in);
  in = blocks.add_expanded("mixed11", in);
  blocks.add_head(*net, {.in = in, .out = options.classes}, options.first_and_last);
  return net;
}

}  // namespace bitdial::inline BITDIAL_ABI::models
