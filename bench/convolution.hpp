// SPDX-License-Identifier: Apache-2.0
// One convolution and its text, "17x48,k5,s2,d2,56x56": what `--conv` reads, and how records name
// the layers of networks.
#pragma once

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/ops/window.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace bench {

/// A convolution of images [height, width, in_channels]; a linear layer is one of a single pixel.
struct Convolution {
  std::int64_t in_channels = 1, out_channels = 1, groups = 1;
  std::int64_t height = 1, width = 1;  ///< of the image
  bitdial::ops::Window window{};

  [[nodiscard]] bool is_depthwise() const noexcept {
    return groups > 1 && groups == in_channels && groups == out_channels;
  }
  /// "conv", "depthwise", "grouped" or "linear"
  [[nodiscard]] std::string_view kind() const noexcept {
    if (is_depthwise()) return "depthwise";
    if (groups > 1) return "grouped";
    return height * width * window.taps() == 1 ? "linear" : "conv";
  }
  /// Of one image; padded taps count.
  [[nodiscard]] double multiply_accumulates() const noexcept {
    return static_cast<double>(window.output_h(height) * window.output_w(width) * out_channels *
                               window.taps() * (in_channels / groups));
  }

  /// "INxOUT,kN,sN,dN,pN,gN,HxW": channels, kernel, stride, dilation, padding, groups, image. What
  /// `parse` would assume is left out.
  [[nodiscard]] std::string text() const;

  /// Reads `text`: kernel, stride, dilation and groups are 1, the padding is half the extent of the
  /// kernel, unless they are given, in any order; `k1x7` is one high and seven wide. Throws
  /// `bitdial::Error` with the text.
  [[nodiscard]] static Convolution parse(std::string_view text);

  /// The padding that keeps the extents of an image at stride 1 and an odd kernel.
  [[nodiscard]] static constexpr std::int64_t usual_padding(std::int64_t kernel,
                                                            std::int64_t dilation) noexcept {
    return dilation * (kernel - 1) / 2;
  }
};

inline std::string Convolution::text() const {
  using bitdial::ops::HeightWidth;
  const bitdial::ops::Window& w = window;
  std::string out = bitdial::concat(in_channels, 'x', out_channels);
  const auto add = [&](char letter, HeightWidth value, HeightWidth usual) {
    if (value == usual) return;
    out += bitdial::concat(',', letter, value.h);
    if (value.h != value.w) out += bitdial::concat('x', value.w);
  };
  add('k', {w.kernel_h, w.kernel_w}, 1);
  add('s', {w.stride_h, w.stride_w}, 1);
  add('d', {w.dilation_h, w.dilation_w}, 1);
  add('p', {w.padding_h, w.padding_w},
      {usual_padding(w.kernel_h, w.dilation_h), usual_padding(w.kernel_w, w.dilation_w)});
  add('g', groups, 1);
  return bitdial::concat(out, ',', height, 'x', width);
}

namespace detail {

/// A number for each direction: "3" stands for both, "3x5" is 3 high and 5 wide.
struct Extents {
  std::int64_t h = 0, w = 0;
  bool one_number = false;

  [[nodiscard]] static std::optional<Extents> parse(std::string_view text) {
    constexpr std::int64_t most = 65536;
    const auto number = [](std::string_view digits, std::int64_t& value) {
      return bitdial::parse_number(digits, value) && value >= 0 && value <= most;
    };
    Extents extents{.one_number = text.find('x') == std::string_view::npos};
    if (!number(bitdial::take_piece(text, 'x'), extents.h)) return std::nullopt;
    extents.w = extents.h;
    if (!extents.one_number && !number(text, extents.w)) return std::nullopt;
    return extents;
  }
  [[nodiscard]] bool is_pair() const noexcept { return !one_number && h >= 1 && w >= 1; }
};

}  // namespace detail

inline Convolution Convolution::parse(std::string_view text) {
  const auto fail = [text](std::string_view why) {
    return bitdial::Error(bitdial::concat(
        "convolution '", text.substr(0, 80), "': ", why,
        "; expected INxOUT[,kN][,sN][,dN][,pN][,gN],HxW, for example 17x48,k5,s2,d2,56x56"));
  };
  Convolution c;
  bitdial::ops::Window& w = c.window;
  std::optional<detail::Extents> padding;
  std::string_view rest = text;
  const auto channels = detail::Extents::parse(bitdial::take_piece(rest, ','));
  if (!channels || !channels->is_pair()) throw fail("it does not begin with two channel counts");
  c.in_channels = channels->h;
  c.out_channels = channels->w;
  while (rest.find(',') != std::string_view::npos) {
    const std::string_view token = bitdial::take_piece(rest, ',');
    const char letter = token.empty() ? ' ' : token.front();
    const auto value = detail::Extents::parse(token.substr(token.empty() ? 0 : 1));
    if (!value || std::string_view{"ksdpg"}.find(letter) == std::string_view::npos ||
        (letter == 'g' && !value->one_number)) {
      throw fail(bitdial::concat("'", token, "' is no option"));
    }
    if (letter == 'k') std::tie(w.kernel_h, w.kernel_w) = std::tie(value->h, value->w);
    if (letter == 's') std::tie(w.stride_h, w.stride_w) = std::tie(value->h, value->w);
    if (letter == 'd') std::tie(w.dilation_h, w.dilation_w) = std::tie(value->h, value->w);
    if (letter == 'p') padding = value;
    if (letter == 'g') c.groups = value->h;
  }
  const auto image = detail::Extents::parse(rest);
  if (!image || !image->is_pair()) throw fail("it does not end with the extents of an image");
  std::tie(c.height, c.width) = std::tie(image->h, image->w);
  w.padding_h = padding ? padding->h : usual_padding(w.kernel_h, w.dilation_h);
  w.padding_w = padding ? padding->w : usual_padding(w.kernel_w, w.dilation_w);
  if (!w.valid()) throw fail("kernel, stride and dilation are at least 1");
  if (c.groups < 1 || c.in_channels % c.groups != 0 || c.out_channels % c.groups != 0) {
    throw fail("the groups must divide both numbers of channels");
  }
  if (w.output_h(c.height) < 1 || w.output_w(c.width) < 1) {
    throw fail("the kernel is larger than the padded image");
  }
  return c;
}

/// Empty, or why `text` is none: for programs that check their options.
[[nodiscard]] inline std::string convolution_error(const std::string& text) {
  try {
    static_cast<void>(Convolution::parse(text));
    return {};
  } catch (const bitdial::Error& error) {
    return error.what();
  }
}

}  // namespace bench
