// SPDX-License-Identifier: Apache-2.0
// A grouped convolution made ready for this machine: its levels in the order that the kernel reads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/heap_bytes.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/deploy/border_sums.hpp>
#include <bitdial/deploy/code_layout.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One grouped convolution of a plan: I = product_factor * sum(s u) + code_factor * sum(u) +
/// border, modulo 2^32, over the taps of a window of codes inside a border of zeros.
///
/// A depthwise layer runs on the kernel of the table, which takes a row of channels at a time. With
/// a stride of 1 the codes of a line follow each other, and a row may span several pixels:
/// `row` channels, whole blocks of the kernel, where single pixels would leave much of one empty.
struct PreparedGroups {
  const LayerState* state = nullptr;
  bool depthwise = false;
  std::uint32_t product_factor = 1;
  std::uint32_t code_factor = 0;
  bool saturates = false;             ///< CodeSteps::saturates of its codes
  std::int64_t row = 0;               ///< channels that repeat: those of a pixel, or of several
  std::int64_t group_taps = 4;        ///< depthwise: as the kernel takes them
  std::int64_t shared_groups = 0;     ///< depthwise: between neighbouring rows of channels
  std::span<std::int8_t> levels;      ///< depthwise: the kernel's order
  std::span<float> scale, bias;       ///< depthwise: the kernel's order
  std::span<std::int32_t> products;   ///< otherwise: weight levels [cout][taps][cin / groups]
  std::vector<std::int64_t> offsets;  ///< of the taps in bytes, in the order of the kernel
  BorderSums border;

  /// Multiplications of one image.
  [[nodiscard]] std::int64_t work(const Step& step) const noexcept {
    const auto taps = static_cast<std::int64_t>(offsets.size());
    const std::int64_t depth =
        depthwise ? taps : static_cast<std::int64_t>(products.size()) / step.y_shape.c;
    return step.y_shape.size() * depth;
  }
  [[nodiscard]] std::size_t heap_bytes() const noexcept {
    return bitdial::heap_bytes(offsets) + border.heap_bytes();
  }
};

namespace detail {

/// Whether the taps of a depthwise layer are taken column by column, which neighbouring windows
/// share: where that makes no more groups of at most four.
[[nodiscard]] inline bool takes_columns(const PackedLayer& layer) noexcept {
  return layer.is_depthwise() && layer.kernel_h <= 4 &&
         kernels::depthwise_groups(layer.depth(), 4) == layer.kernel_w;
}

/// The channels of several pixels that fill whole vectors of `lanes`; those of one pixel where that
/// would take too many, or where fewer vectors do not pay for columns that are no longer shared.
[[nodiscard]] inline std::int64_t repeated_channels(const PackedLayer& layer, std::int64_t lanes,
                                                    const Step& step) noexcept {
  constexpr std::int64_t most = 4096;
  const std::int64_t channels = layer.cout, whole = least_common_multiple(channels, lanes);
  if (step.window.stride_w != 1 || whole > std::min(most, channels * step.y_shape.w)) {
    return channels;
  }
  const std::int64_t pixels = whole / channels;
  const std::int64_t vectors = whole / lanes,
                     vectors_apart = pixels * (round_up(channels, lanes) / lanes);
  const bool shares = pixels == 1 || pixels < layer.kernel_w;
  return shares || !takes_columns(layer) || 3 * vectors <= 2 * vectors_apart ? whole : channels;
}

/// A tap of a window.
struct Tap {
  std::int64_t y = 0, x = 0;
};
/// Tap t in the order in which the kernel takes them.
[[nodiscard]] inline Tap kernel_tap(const PackedLayer& layer, std::int64_t t) noexcept {
  if (takes_columns(layer)) return {t % layer.kernel_h, t / layer.kernel_h};
  return {t / layer.kernel_w, t % layer.kernel_w};
}

/// The columns of taps that a row of `row` channels shares with the next one.
[[nodiscard]] inline std::int64_t shared_columns(const PackedLayer& layer, const Step& step,
                                                 std::int64_t row) noexcept {
  const std::int64_t pixels = row == layer.cout ? step.window.stride_w : row / layer.cout;
  if (!takes_columns(layer) || pixels % step.window.dilation_w != 0) return 0;
  return std::max<std::int64_t>(0, layer.kernel_w - pixels / step.window.dilation_w);
}

/// Where the parts of a prepared grouped convolution lie in its memory.
struct GroupedMemory {
  std::int64_t row = 0;     ///< `PreparedGroups::row`
  std::int64_t padded = 0;  ///< channels, in whole blocks of the kernel
  std::size_t levels = 0, scale = 0, bias = 0, end = 0;

  GroupedMemory(const kernels::KernelTable& table, const PackedLayer& layer, const Step& step) {
    const auto aligned = [](std::int64_t bytes) {
      return static_cast<std::size_t>(round_up(bytes, 64));
    };
    if (!layer.is_depthwise()) {
      end = aligned(layer.cout * layer.depth() * 4);
      return;
    }
    const std::int64_t cols = table.depthwise_u8s8.cols;
    row = repeated_channels(layer, table.depthwise_lanes, step);
    padded = round_up(row, cols);
    scale = aligned(padded * round_up(layer.depth(), 4));
    bias = scale + aligned(padded * 4);
    end = bias + aligned(padded * 4);
  }
};

/// Levels of weights that fit 8 bits, else codes minus 128 and what that owes.
inline void pack_depthwise_levels(PreparedGroups& groups, std::span<const std::uint8_t> codes,
                                  const PackedLayer& layer, std::int64_t cols) {
  const LayerState& state = *groups.state;
  const IntegerLevels& levels = state.weight_levels;
  const bool store_levels = fits_int8(levels, state.executed.w);
  const std::int32_t shift = state.executed.w == 8 ? 128 : 0;
  if (!store_levels) {
    groups.product_factor *= static_cast<std::uint32_t>(levels.multiplier);
    groups.code_factor = static_cast<std::uint32_t>(state.activation_levels.multiplier) *
                         static_cast<std::uint32_t>(levels.multiplier * shift + levels.offset);
  }
  const std::int64_t taps = layer.depth(), g = groups.group_taps;
  const std::int64_t group_count = kernels::depthwise_groups(taps, g);
  std::fill(groups.levels.begin(), groups.levels.end(), std::int8_t{0});
  for (std::span<float>* values : {&groups.scale, &groups.bias}) {
    std::fill(values->begin(), values->end(), 0.0F);
  }
  for (std::int64_t c = 0; c < groups.row; ++c) {
    const std::int64_t channel = c % layer.cout;
    const std::int64_t place = kernels::depthwise_place(c, cols);
    for (std::int64_t t = 0; t < taps; ++t) {
      const Tap tap = kernel_tap(layer, t);
      const std::uint8_t code =
          codes[static_cast<std::size_t>(channel * taps + tap.y * layer.kernel_w + tap.x)];
      groups.levels.data()[((c / cols * group_count + t / g) * cols + place) * 4 + t % g] =
          static_cast<std::int8_t>(store_levels ? levels.level(code) : code - shift);
    }
    const auto from = static_cast<std::size_t>(channel);
    groups.scale.data()[c / cols * cols + place] = state.multiplier[from];
    groups.bias.data()[c / cols * cols + place] = state.bias[from];
  }
}

}  // namespace detail

/// Bytes that `fill_groups` fills with weights.
[[nodiscard]] inline std::size_t prepared_group_bytes(const kernels::KernelTable& table,
                                                      const PackedLayer& layer, const Step& step) {
  return detail::GroupedMemory{table, layer, step}.end;
}

/// A grouped convolution without weights. `x` is the layout of the codes that it reads, `border`
/// its border without sums.
[[nodiscard]] inline PreparedGroups lay_out_groups(const PackedLayer& layer,
                                                   const LayerState& state, const Step& step,
                                                   const CodeLayout& x, BorderSums border) {
  PreparedGroups groups;
  groups.state = &state;
  groups.depthwise = layer.is_depthwise();
  groups.product_factor = static_cast<std::uint32_t>(state.activation_levels.multiplier);
  groups.border = std::move(border);
  if (detail::takes_columns(layer)) groups.group_taps = layer.kernel_h;
  const std::int64_t taps = layer.kernel_h * layer.kernel_w;
  groups.offsets.reserve(static_cast<std::size_t>(taps));
  for (std::int64_t t = 0; t < taps; ++t) {
    const detail::Tap tap = detail::kernel_tap(layer, t);
    groups.offsets.push_back(tap.y * step.window.dilation_h * x.line() +
                             tap.x * step.window.dilation_w * x.pixel);
  }
  return groups;
}

/// Fills `memory`, `prepared_group_bytes` on a 64-byte boundary, with the weights, and
/// `border_sums` with those of the border; both outlive `groups`. `planes` are those of the pack
/// that serves the width.
inline void fill_groups(const kernels::KernelTable& table, const PackedLayer& layer,
                        std::span<const std::span<const std::byte>> planes, const Step& step,
                        std::byte* memory, std::uint32_t* border_sums, PreparedGroups& groups) {
  const LayerState& state = *groups.state;
  const std::vector<std::uint8_t> codes =
      detail::read_weight_codes(table, layer, planes, state.executed.w);
  const std::int64_t taps = layer.kernel_h * layer.kernel_w, depth = layer.depth();
  if (!groups.border.empty()) {
    std::vector<std::int32_t> tap_sums(static_cast<std::size_t>(taps * layer.cout), 0);
    for (std::int64_t i = 0; i < layer.cout * depth; ++i) {
      const std::int64_t channel = i / depth, tap = i % depth / (depth / taps);
      tap_sums[static_cast<std::size_t>(tap * layer.cout + channel)] +=
          state.weight_levels.level(codes[static_cast<std::size_t>(i)]);
    }
    groups.border.fill(tap_sums, state.activation_levels.offset, border_sums);
  }
  if (!groups.depthwise) {
    groups.products = {reinterpret_cast<std::int32_t*>(memory), codes.size()};
    std::transform(codes.begin(), codes.end(), groups.products.begin(),
                   [&](std::uint8_t code) { return state.weight_levels.level(code); });
    return;
  }
  const detail::GroupedMemory parts{table, layer, step};
  const auto channels = static_cast<std::size_t>(parts.padded);
  groups.row = parts.row;
  groups.shared_groups = detail::shared_columns(layer, step, parts.row);
  groups.levels = {reinterpret_cast<std::int8_t*>(memory),
                   channels * static_cast<std::size_t>(round_up(depth, 4))};
  groups.scale = {reinterpret_cast<float*>(memory + parts.scale), channels};
  groups.bias = {reinterpret_cast<float*>(memory + parts.bias), channels};
  detail::pack_depthwise_levels(groups, codes, layer, table.depthwise_u8s8.cols);
}

}  // namespace bitdial::inline BITDIAL_ABI
