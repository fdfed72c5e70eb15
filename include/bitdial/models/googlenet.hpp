// SPDX-License-Identifier: Apache-2.0
// GoogLeNet: blocks of parallel branches, switchable.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include <bitdial/models/inception_blocks.hpp>
#include <bitdial/nn/init.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// Width and interface of `googlenet`.
struct GoogLeNetOptions {
  double width = 1.0;  ///< multiplies all channels
  InceptionStem stem = InceptionStem::published;
  std::int64_t large_kernel = 5;  ///< of the third branch: 5 in the paper, 3 in torchvision
  std::int64_t in_channels = 3;
  std::int64_t classes = 1000;
  Precision first_and_last{.w = 8, .a = 8};  ///< of the stem and of the classifier, under any plan
};

namespace detail {

/// Output channels of the six convolutions of one block; `reduce` ones stand before the others.
struct GoogLeNetBlock {
  const char* name;
  std::int64_t one, reduce3, three, reduce5, five, pool;
};

inline constexpr std::array<GoogLeNetBlock, 9> googlenet_blocks{
    {{"3a", 64, 96, 128, 16, 32, 32},
     {"3b", 128, 128, 192, 32, 96, 64},
     {"4a", 192, 96, 208, 16, 48, 64},
     {"4b", 160, 112, 224, 24, 64, 64},
     {"4c", 128, 128, 256, 24, 64, 64},
     {"4d", 112, 144, 288, 32, 64, 64},
     {"4e", 256, 160, 320, 32, 128, 128},
     {"5a", 256, 160, 320, 32, 128, 128},
     {"5b", 384, 192, 384, 48, 128, 128}}};

}  // namespace detail

/// GoogLeNet with per-switch batch normalisation after every convolution: a stem, nine blocks of
/// four branches (1x1; 1x1 and 3x3; 1x1 and 5x5; 3x3 max pool and 1x1), global average pooling, a
/// classifier. The auxiliary classifiers of the paper's training are left out, and so is dropout.
///
/// Input `[N, H, W, in_channels]` in [0, 1], output logits `[N, classes]`. At 224 x 224 and width 1
/// it has 7.01 million parameters and 1.58 billion multiply-accumulates; with `large_kernel` 3 6.62
/// million and 1.50 billion. Pools of stride 2 pad by one pixel where the paper's round their size
/// up. Layers are numbered; weights are still zero: call `nn::initialize`, then `add_plans`.
/// Throws `ConfigError` for a width that is not positive, an even `large_kernel` and sizes below 1.
/// Sources: Szegedy et al., 1409.4842, table 1; EdMIPS, 2004.05795 (with batch normalisation).
template <class Bits, class WeightPolicy = DoReFaWeights, class ActivationPolicy = PactActivations,
          class Key = KeyByPair, class ClassifierPolicy = SawbWeights>
[[nodiscard]] std::unique_ptr<nn::Sequential> googlenet(
    const GoogLeNetOptions& options,
    const NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy>& policies = {}) {
  using Parts = InceptionParts<Bits, WeightPolicy, ActivationPolicy, Key, ClassifierPolicy>;
  using Branch = typename Parts::Branch;
  const Parts parts{{policies}};
  if (options.large_kernel < 1 || options.large_kernel % 2 == 0) {
    throw ConfigError(concat("googlenet: large_kernel must be odd, for example 5 or 3, got ",
                             options.large_kernel));
  }
  const auto channels = [&](std::int64_t published) {
    return detail::scaled_channels("googlenet", published, options.width);
  };
  const ops::Window halve = ops::Window::square(3, {.stride = 2, .padding = 1});
  auto net = std::make_unique<nn::Sequential>();
  std::int64_t in = channels(192);
  if (options.stem == InceptionStem::published) {
    parts.add_stem(
        *net,
        {.in = options.in_channels, .out = channels(64), .kernel = 7, .stride = 2, .padding = 3},
        options.first_and_last);
    net->add<nn::MaxPool2d>("stem.pool", halve);
    Branch second{parts, channels(64)};
    second.conv("conv2", channels(64), 1).conv("conv3", in, 3).max_pool(halve);
    net->add<nn::Sequential>("stem2", second.take());
  } else {
    parts.add_stem(*net, {.in = options.in_channels, .out = in, .kernel = 3, .padding = 1},
                   options.first_and_last);
  }
  for (const detail::GoogLeNetBlock& block : detail::googlenet_blocks) {
    const std::string name = concat("inception", block.name);
    if (name.ends_with("4a") || name.ends_with("5a"))
      net->add<nn::MaxPool2d>(name + ".pool", halve);
    typename Parts::Branches branches;
    Branch one{parts, in}, three{parts, in}, five{parts, in}, pool{parts, in};
    branches.add("one", one.conv("conv", channels(block.one), 1));
    branches.add(
        "three",
        three.conv("reduce", channels(block.reduce3), 1).conv("conv", channels(block.three), 3));
    branches.add("five", five.conv("reduce", channels(block.reduce5), 1)
                             .conv("conv", channels(block.five), options.large_kernel));
    branches.add("pool", pool.max_pool(ops::Window::square(3, {.padding = 1}))
                             .conv("conv", channels(block.pool), 1));
    in = branches.channels();
    net->add<nn::Concat>(name, branches.take());
  }
  parts.add_head(*net, {.in = in, .out = options.classes}, options.first_and_last);
  return net;
}

}  // namespace bitdial::inline BITDIAL_ABI::models
