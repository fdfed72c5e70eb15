// SPDX-License-Identifier: Apache-2.0
// The fastest kernel for each layer, by measurement on this machine: every shape once per process,
// or once per product that keeps the text of the choices.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/matrix_step.hpp>
#include <bitdial/deploy/prepared_step.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
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

[[nodiscard]] constexpr bool worth_trying(KernelPath path, const MatrixShape& shape) noexcept {
  if (path == KernelPath::planes && shape.bits.w * shape.bits.a > most_plane_pairs) return false;
  if (path == KernelPath::packed && shape.y.h * shape.y.w > most_packed_rows) return false;
  return serves(path, shape);
}

/// Runs a layer of zeros, the memory laid out as in a session. No kernel's time depends on the
/// numbers.
class StepTimer {
 public:
  StepTimer(const kernels::KernelTable& table, const MatrixShape& shape)
      : table_{table},
        shape_{shape},
        codes_(static_cast<std::size_t>(shape.x.image() + code_slack)) {
    const auto channels = static_cast<std::size_t>(shape.y.c);
    state_.multiplier.assign(channels, 0.0F);
    state_.bias.assign(channels, 0.0F);
    step_.kind = shape.linear ? ops::NodeKind::linear : ops::NodeKind::conv2d;
    step_.window = shape.window;
    step_.x_shape = {shape.x.h, shape.x.w, shape.x.pixel};
    step_.y_shape = shape.y;
  }

  /// Nanoseconds of one image.
  [[nodiscard]] double time(KernelPath path) const {
    PreparedStep prepared;
    prepared.rows = rows_over(shape_, shape_.x, shape_.may_join);
    PreparedWeights weights =
        weight_layout({shape_.y.c, shape_.depth(), shape_.bits.w}, path,
                      {.segments = prepared.rows.segments(), .pixel = shape_.x.pixel});
    const AlignedBuffer<std::byte> memory(prepared_weight_bytes(table_, weights));
    weights.bytes.data = reinterpret_cast<const std::int8_t*>(memory.data());
    weights.planes.data = reinterpret_cast<const std::uint64_t*>(memory.data());
    weights.lookup.data = reinterpret_cast<const std::uint8_t*>(memory.data());
    weights.packed.data = reinterpret_cast<const std::uint8_t*>(memory.data());
    prepared.weights = &weights;
    prepared.state = &state_;
    // Levels of both signs: +-(2^w - 1); those of 8 bits and of the other paths have an offset.
    const int largest = shape_.bits.w < 8 ? (1 << shape_.bits.w) - 1 : 128;
    prepared.short_groups =
        ops::PackedWeightsU8S8{.largest_pair = 2 * largest}.short_groups((1 << shape_.bits.a) - 1);
    prepared.row_sum_factor = path == KernelPath::bytes && shape_.bits.w < 8 ? 0 : 1;
    lay_out_images(shape_, path, prepared);

    AlignedBuffer<std::uint8_t> images(prepared.images.bytes(1));
    AlignedBuffer<std::byte> scratch(MatrixStep::scratch_bytes(table_, weights, shape_.y.c));
    const MatrixOperands operands{.x = codes_.data(), .images = images.data(), .count = 1};
    const MatrixStep step{table_, {}, {}, step_, prepared, operands};
    const std::int64_t work = std::max<std::int64_t>(1, step.work() / step.tiles());
    const std::int64_t tiles = std::clamp<std::int64_t>(
        most_work / work, std::min(step.tiles(), least_tiles), step.tiles());
    const double part = shortest([&] { step.run({0, tiles}, {0, shape_.y.c}, scratch.data()); });
    const double whole = part * static_cast<double>(step.tiles()) / static_cast<double>(tiles);
    if (!step.needs_images()) return whole;
    return whole + shortest([&] { step.make_images({0, shape_.x.h}); });
  }

 private:
  /// Multiplications of one timing, and tiles that read the same weights.
  static constexpr std::int64_t most_work = std::int64_t{1} << 22, least_tiles = 8;

  template <class Run>
  [[nodiscard]] static double shortest(const Run& run) {
    using Clock = std::chrono::steady_clock;
    double best = std::numeric_limits<double>::max();
    run();
    for (int i = 0; i < 4; ++i) {
      const auto start = Clock::now();
      run();
      const std::chrono::duration<double, std::nano> time = Clock::now() - start;
      best = std::min(best, time.count());
    }
    return best;
  }

  const kernels::KernelTable& table_;
  MatrixShape shape_;
  AlignedBuffer<std::uint8_t> codes_;
  LayerState state_;
  Step step_;
};

[[nodiscard]] inline KernelChoice measure_choice(const kernels::KernelTable& table,
                                                 const MatrixShape& shape, std::string text) {
  KernelChoice choice{.shape = std::move(text), .times = {}};
  const auto candidates =
      static_cast<int>(std::count_if(kernel_paths.begin(), kernel_paths.end(),
                                     [&](KernelPath path) { return worth_trying(path, shape); }));
  if (candidates == 1) return choice;
  const StepTimer timer{table, shape};
  double best = std::numeric_limits<double>::max();
  for (const KernelPath path : kernel_paths) {
    if (!worth_trying(path, shape)) continue;
    const double time = timer.time(path);
    choice.times += concat(choice.times.empty() ? "" : ", ", name_of(path), ' ',
                           static_cast<std::int64_t>(time * 1e-3 + 0.5));
    if (time < best) {
      best = time;
      choice.path = path;
    }
  }
  choice.times += " us";
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
/// multiplications or eight tiles.
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
  known.choices.push_back(std::move(measured));
  return known.choices.back();
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

/// Takes over choices from the text of `kernel_choices`, so that a product measures once. They are
/// hints: a path that does not serve a shape is not used. Errors name the line; then nothing was
/// taken over.
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
                            "packed")};
    }
    std::string_view times = rest.substr(space);
    if (times.size() > 3) times = times.substr(2, times.size() - 3);
    choices.push_back({std::string{line.substr(0, colon)}, *path, std::string{times}});
  }
  detail::ChoiceTable& known = detail::process_choices();
  const detail::ChoiceGuard guard{known};
  known.choices.insert(known.choices.begin(), choices.begin(), choices.end());
  return {};
}

}  // namespace bitdial::inline BITDIAL_ABI
