// SPDX-License-Identifier: Apache-2.0
// Values that are computed where they are read, piece by piece in the first-level cache, instead of
// being written to memory by one operation and read back by the next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/ops/bit_mask.hpp>
#include <bitdial/quant/levels.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Writes the elements begin .. end - 1 of a value to `to`. Threads call it for different pieces at
/// the same time; pieces are those of `for_each_piece`.
template <class T>
using Stream = std::function<void(std::int64_t begin, std::int64_t end, T* to)>;

/// What a quantized value is streamed from: its codes, and the line of integers on which they lie.
struct Codes {
  Tensor<std::uint8_t> values;
  IntegerLevels levels;
  int bits = 8;
};

/// The elements of a piece: a run of whole rows (rows: all axes but the last), a multiple of
/// `BitMask::block` elements, about 4096 of them.
[[nodiscard]] inline std::int64_t piece_size(const Shape& shape) noexcept {
  const std::int64_t channels = shape.rank() == 0 ? 1 : std::max<std::int64_t>(1, shape.back());
  const std::int64_t unit = std::lcm(ops::BitMask::block, channels);
  return std::max<std::int64_t>(1, 4096 / unit) * unit;
}

/// Calls body(begin, end, scratch) for every piece of a tensor, over threads; the last one may be
/// shorter. `scratch` has room for a piece.
template <class T, class Body>
void for_each_piece(const Shape& shape, Body body) {
  const std::int64_t size = piece_size(shape);
  parallel_for(shape.size(), 4 * size, [&](std::int64_t first, std::int64_t last) {
    AlignedBuffer<T> scratch(static_cast<std::size_t>(std::min(size, last - first)),
                             Uninitialized{});
    for (std::int64_t begin = first; begin < last; begin += size) {
      body(begin, std::min(last, begin + size), scratch.data());
    }
  });
}

/// All elements of a value: those in memory, or a temporary copy.
template <class T>
class Whole {
 public:
  explicit Whole(TensorView<const T> stored) : view_{stored} {}
  explicit Whole(Tensor<T> computed) : own_{std::move(computed)}, view_{own_.view()} {}
  Whole(const Whole&) = delete;
  Whole& operator=(const Whole&) = delete;

  [[nodiscard]] TensorView<const T> view() const noexcept { return view_; }

 private:
  Tensor<T> own_;
  TensorView<const T> view_;
};

/// Reads a value that is stored or streamed, and keeps alive what it needs for that.
template <class T>
class Reader {
 public:
  Reader(std::shared_ptr<const Tensor<T>> stored)
      : shape_{stored->shape()}, data_{stored->data()}, owner_{std::move(stored)} {}
  /// Memory that outlives the reader.
  explicit Reader(const Tensor<T>& outside) : shape_{outside.shape()}, data_{outside.data()} {}
  Reader(const Shape& shape, Stream<T> stream, std::shared_ptr<const Codes> codes = nullptr)
      : shape_{shape}, stream_{std::move(stream)}, codes_{std::move(codes)} {}

  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] bool is_stored() const noexcept { return !stream_; }
  /// The codes of a value that has no other form yet; null where the value is not affine in them.
  [[nodiscard]] const Codes* codes() const noexcept { return codes_.get(); }

  /// The elements of one piece: in place where they are stored, else computed into `scratch`.
  [[nodiscard]] const T* operator()(std::int64_t begin, std::int64_t end, T* scratch) const {
    if (is_stored()) return data_ + begin;
    stream_(begin, end, scratch);
    return scratch;
  }

  /// All elements.
  [[nodiscard]] Whole<T> all() const {
    if (is_stored()) return Whole<T>{TensorView<const T>{data_, shape_}};
    return Whole<T>{computed()};
  }

  /// All elements in memory of their own.
  [[nodiscard]] Tensor<T> computed() const {
    Tensor<T> result(shape_, Uninitialized{});
    for_each_piece<T>(shape_, [&](std::int64_t begin, std::int64_t end, T*) {
      T* const to = result.data() + begin;
      if (const T* const from = (*this)(begin, end, to); from != to) {
        std::copy_n(from, end - begin, to);
      }
    });
    return result;
  }

 private:
  Shape shape_;
  const T* data_ = nullptr;
  std::shared_ptr<const Tensor<T>> owner_;
  Stream<T> stream_;
  std::shared_ptr<const Codes> codes_;
};

}  // namespace bitdial::inline BITDIAL_ABI
