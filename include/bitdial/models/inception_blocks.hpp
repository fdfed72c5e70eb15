// SPDX-License-Identifier: Apache-2.0
// What networks of parallel branches have in common: how a block is put together.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <bitdial/models/network_layers.hpp>
#include <bitdial/nn/concat.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// What stands before the first block of branches.
enum class InceptionStem : std::uint8_t {
  published,  ///< the paper's convolutions and pools: 224 or 299 pixels
  conv3,      ///< one 3x3 convolution of stride 1 to as many channels: 32 and 64 pixels
};

/// The layers of a network of branches, of the arguments of `NetworkLayers`.
template <class... Arguments>
struct InceptionParts : NetworkLayers<Arguments...> {
  /// A path under construction: layers follow each other, and the channels are remembered.
  class Branch {
   public:
    /// Of `in` channels, built of the layers of `parts`, which must outlive it.
    Branch(const InceptionParts& parts, std::int64_t in) : parts_{&parts}, channels_{in} {}

    /// conv-BN-ReLU that keeps the size.
    Branch& conv(std::string name, std::int64_t out, ops::HeightWidth kernel) {
      return conv(
          std::move(name),
          {.in = channels_, .out = out, .kernel = kernel, .padding = {kernel.h / 2, kernel.w / 2}});
    }
    /// 3x3 conv-BN-ReLU without padding.
    Branch& valid(std::string name, std::int64_t out) {
      return conv(std::move(name), {.in = channels_, .out = out, .kernel = 3});
    }
    /// The same with stride 2.
    Branch& reduce(std::string name, std::int64_t out) {
      return conv(std::move(name), {.in = channels_, .out = out, .kernel = 3, .stride = 2});
    }
    Branch& max_pool(const ops::Window& window) {
      layers_.template add<nn::MaxPool2d>("pool", window);
      return *this;
    }
    /// 3x3, stride 1, padded with zeros that count.
    Branch& average_pool() {
      layers_.template add<nn::AveragePool2d>("pool", ops::Window::square(3, {.padding = 1}));
      return *this;
    }
    /// Ends in the branches of `split`.
    Branch& concat(std::string name, nn::Concat split, std::int64_t channels) {
      layers_.template add<nn::Concat>(std::move(name), std::move(split));
      channels_ = channels;
      return *this;
    }

    [[nodiscard]] std::int64_t channels() const noexcept { return channels_; }
    [[nodiscard]] nn::Sequential take() { return std::move(layers_); }

   private:
    Branch& conv(std::string name, const nn::Conv2dOptions& options) {
      parts_->add_conv(layers_, name, options, LayerOrder::conv_norm_relu);
      channels_ = options.out;
      return *this;
    }

    const InceptionParts* parts_;
    std::int64_t channels_;
    nn::Sequential layers_;
  };

  /// Branches under construction: their channels side by side.
  class Branches {
   public:
    void add(std::string name, Branch& branch) {
      channels_ += branch.channels();
      branches_.add(std::move(name), branch.take());
    }
    [[nodiscard]] std::int64_t channels() const noexcept { return channels_; }
    [[nodiscard]] nn::Concat take() { return std::move(branches_); }

   private:
    std::int64_t channels_ = 0;
    nn::Concat branches_;
  };
};

namespace detail {

/// `published` channels times `width`, at least 1; throws `ConfigError` for a width out of range.
[[nodiscard]] inline std::int64_t scaled_channels(std::string_view network, std::int64_t published,
                                                  double width) {
  if (!(width > 0.0 && width <= 64.0)) {
    throw ConfigError(concat(network, ": width must be above 0 and at most 64, got ", width));
  }
  const double scaled = std::floor(static_cast<double>(published) * width);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(scaled));
}

}  // namespace detail

}  // namespace bitdial::inline BITDIAL_ABI::models
