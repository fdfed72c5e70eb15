// SPDX-License-Identifier: Apache-2.0
// The fastest kernel for each layer, by measurement on this machine: every shape once per process,
// or once per product that keeps the text of the choices.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/step_timer.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The kernel of one shape on one instruction set.
struct KernelChoice {
  std::string shape;  ///< the table's name and `MatrixShape::text()`
  KernelPath path = KernelPath::bytes;
  std::string times;  ///< `bytes 812, planes 455 us`; empty where nothing was measured
};

namespace detail {

/// Pairs of planes beyond which bytes win on every machine that was measured; not tried.
inline constexpr int most_plane_pairs = 16;
/// Rows of a product, per image, up to which packed weights are tried.
inline constexpr std::int64_t most_packed_rows = 64;

/// Channels below which the transforms of Winograd's filtering take longer than what they save, and
/// bytes of its weights beyond which it is not tried.
inline constexpr std::int64_t least_winograd_channels = 16;
inline constexpr std::int64_t most_winograd_bytes = std::int64_t{9} << 19;
/// A timing of one layer does not show that its weights displace others' from the caches, nor that
/// others displace them: it must win by this factor, and beyond these bytes the time that its
/// weights take from memory is added.
inline constexpr double winograd_advantage = 1.1;
inline constexpr std::int64_t near_winograd_bytes = std::int64_t{9} << 18;
inline constexpr double far_bytes_per_ns = 30.0;

/// Bytes of the transformed weights of a layer.
[[nodiscard]] constexpr std::int64_t winograd_weight_bytes(KernelPath path,
                                                           const MatrixShape& shape) noexcept {
  const kernels::WinogradTile& tile = winograd_tile(path);
  return tile.products() * tile.number_bytes * shape.x.pixel * shape.y.c;
}

[[nodiscard]] constexpr bool winograd_pays(const kernels::KernelTable& table, KernelPath path,
                                           const MatrixShape& shape) noexcept {
  const bool of_bytes = winograd_tile(path).number_bytes == 1;
  return (of_bytes ? table.winograd_bytes_pay : table.winograd_shorts_pay) &&
         shape.x.pixel >= least_winograd_channels &&
         winograd_weight_bytes(path, shape) <= most_winograd_bytes;
}

/// What the time of a layer alone, in nanoseconds, counts as among its paths.
[[nodiscard]] constexpr double counted_time(double time, KernelPath path,
                                            const MatrixShape& shape) noexcept {
  if (!is_winograd(path)) return time;
  const std::int64_t bytes = winograd_weight_bytes(path, shape);
  const bool is_near = bytes <= near_winograd_bytes;
  return winograd_advantage * time +
         (is_near ? 0.0 : static_cast<double>(bytes) / far_bytes_per_ns);
}

[[nodiscard]] constexpr bool worth_trying(const kernels::KernelTable& table, KernelPath path,
                                          const MatrixShape& shape) noexcept {
  if (path == KernelPath::planes && shape.bits.w * shape.bits.a > most_plane_pairs) return false;
  if (path == KernelPath::packed && shape.y.h * shape.y.w > most_packed_rows) return false;
  if (is_winograd(path) && !winograd_pays(table, path, shape)) return false;
  return serves(path, shape);
}

[[nodiscard]] inline KernelChoice measure_choice(const kernels::KernelTable& table,
                                                 const MatrixShape& shape, std::string text) {
  KernelChoice choice{.shape = std::move(text), .times = {}};
  const auto candidates = static_cast<int>(
      std::count_if(kernel_paths.begin(), kernel_paths.end(),
                    [&](KernelPath path) { return worth_trying(table, path, shape); }));
  if (candidates == 1) return choice;
  const StepTimer timer{table, shape};
  double best = std::numeric_limits<double>::max();
  for (const KernelPath path : kernel_paths) {
    if (!worth_trying(table, path, shape)) continue;
    const std::optional<double> time = timer.time(path);
    if (!time) continue;
    choice.times += concat(choice.times.empty() ? "" : ", ", name_of(path), ' ',
                           static_cast<std::int64_t>(*time * 1e-3 + 0.5));
    const double counted = counted_time(*time, path, shape);
    if (counted < best) {
      best = counted;
      choice.path = path;
    }
  }
  if (!choice.times.empty()) choice.times += " us";
  return choice;
}

/// What this process has measured or was given.
struct ChoiceTable {
  bool locked = false;
  std::vector<KernelChoice> choices;

  /// The choice for a shape that it serves, or null.
  [[nodiscard]] const KernelChoice* find(std::string_view text, const MatrixShape& shape) const {
    for (const KernelChoice& choice : choices) {
      if (choice.shape == text && serves(choice.path, shape)) return &choice;
    }
    return nullptr;
  }
  /// Adds a choice in place of the one of the same shape, where there is one.
  const KernelChoice& put(KernelChoice choice) {
    const auto known = std::ranges::find_if(
        choices, [&](const auto& other) { return other.shape == choice.shape; });
    if (known != choices.end()) return *known = std::move(choice);
    choices.push_back(std::move(choice));
    return choices.back();
  }
};
/// Held for a look at a few entries. The compiler's atomic built-ins: <mutex> is long.
class ChoiceGuard {
 public:
  explicit ChoiceGuard(ChoiceTable& table) noexcept : table_{table} {
    while (__atomic_test_and_set(&table_.locked, __ATOMIC_ACQUIRE)) {
    }
  }
  ChoiceGuard(const ChoiceGuard&) = delete;
  ChoiceGuard& operator=(const ChoiceGuard&) = delete;
  ~ChoiceGuard() { __atomic_clear(&table_.locked, __ATOMIC_RELEASE); }

 private:
  ChoiceTable& table_;
};
[[nodiscard]] inline ChoiceTable& process_choices() {
  static ChoiceTable table;
  return table;
}

}  // namespace detail

/// The path that takes the least time for layers of this shape: from the choices of the process,
/// else measured and added to them. Sessions of one process, and the memory that was planned for
/// them, agree although clocks do not. Any thread may call it.
///
/// Cost, once per shape: some five runs of each path that serves it, of at most about four million
/// multiplications or eight tiles. Its memory does not grow with the image: a path that would need
/// more than there is, or more than 64 MiB of codes for a few rows, is not tried; bytes serve then.
[[nodiscard]] inline KernelChoice choose_kernel(const kernels::KernelTable& table,
                                                const MatrixShape& shape) {
  const std::string text = concat(table.name, ' ', shape.text());
  detail::ChoiceTable& known = detail::process_choices();
  {
    const detail::ChoiceGuard guard{known};
    if (const KernelChoice* const found = known.find(text, shape)) return *found;
  }
  // Not under the lock: of two threads that measure the same shape, the first one decides.
  KernelChoice measured = detail::measure_choice(table, shape, text);
  const detail::ChoiceGuard guard{known};
  if (const KernelChoice* const found = known.find(text, shape)) return *found;
  return known.put(std::move(measured));
}

/// The choices of this process, a line each: `avx2 conv 3x3 ... w1a2: lookup (bytes 812, ... us)`.
[[nodiscard]] inline std::string kernel_choices() {
  detail::ChoiceTable& known = detail::process_choices();
  const detail::ChoiceGuard guard{known};
  std::string text;
  for (const KernelChoice& choice : known.choices) {
    text += concat(choice.shape, ": ", name_of(choice.path));
    if (!choice.times.empty()) text += concat(" (", choice.times, ')');
    text += '\n';
  }
  return text;
}

/// Takes over choices from the text of `kernel_choices`, so that a product measures once. A line
/// replaces what was known of its shape. They are hints: a path that does not serve a shape is not
/// used. Errors name the line; then nothing was taken over.
[[nodiscard]] inline Result<void> load_kernel_choices(std::string_view text) {
  std::vector<KernelChoice> choices;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const std::size_t colon = std::min(line.find(": "), line.size());
    const std::string_view rest = line.substr(std::min(colon + 2, line.size()));
    const std::size_t space = std::min(rest.find(" ("), rest.size());
    const auto path = kernel_path_of(rest.substr(0, space));
    if (!path) {
      return Failure{concat("kernel choices: line ", number, " is '", line,
                            "', expected 'SHAPE: PATH', with PATH one of bytes, planes, lookup, "
                            "packed, winograd, winograd_bytes")};
    }
    std::string_view times = rest.substr(space);
    if (times.size() > 3) times = times.substr(2, times.size() - 3);
    choices.push_back({std::string{line.substr(0, colon)}, *path, std::string{times}});
  }
  detail::ChoiceTable& known = detail::process_choices();
  const detail::ChoiceGuard guard{known};
  for (KernelChoice& choice : choices) known.put(std::move(choice));
  return {};
}

}  // namespace bitdial::inline BITDIAL_ABI
