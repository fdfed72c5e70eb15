// SPDX-License-Identifier: Apache-2.0
// Convolutions on tape handles: of values, and of codes where the operands are streamed from them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <type_traits>
#include <utility>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/core/parallel.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/ops/channel_moments.hpp>
#include <bitdial/ops/conv2d.hpp>
#include <bitdial/ops/detail/image_rows.hpp>
#include <bitdial/ops/detail/weight_sums.hpp>
#include <bitdial/ops/grouped_conv2d.hpp>
#include <bitdial/ops/qconv2d.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

namespace detail {

[[nodiscard]] inline ops::CodesView view(const Codes& codes) noexcept {
  return {codes.values.view(), codes.levels, codes.bits};
}

template <class T>
void conv2d_sums(TensorView<T> y, const Reader<T>& x, const Reader<T>& w, const ops::Window& window,
                 bool in_integers, ops::Sums sums, ops::ChannelMoments* moments) {
  if constexpr (std::is_same_v<T, float>) {
    if (in_integers && x.codes() != nullptr && w.codes() != nullptr &&
        ops::sums_fit_int32(view(*x.codes()), view(*w.codes()))) {
      return ops::qconv2d_forward(y, view(*x.codes()), view(*w.codes()), window, moments);
    }
  }
  ops::conv2d_forward(y, x.all().view(), w.all().view(), window, sums, moments);
}

/// The values of x that a derivative reads: in place, computed, or decoded for some images at a
/// time.
template <class T>
class Operand {
 public:
  explicit Operand(const Reader<T>& x)
      : shape_{x.shape()}, codes_{x.codes()}, values_{codes_ == nullptr ? x.all() : nothing()} {}

  /// Calls body(images) for images first .. first + count - 1, which start at 0 in what it gets:
  /// `StoredImages` or `CodedImages`.
  template <class Body>
  void visit(std::int64_t first, Body body) const {
    const std::int64_t begin = first == 0 ? 0 : first * (shape_.size() / shape_[0]);
    if constexpr (std::is_same_v<T, float>) {
      if (codes_ != nullptr) {
        return body(ops::detail::CodedImages{codes_->values.data() + begin, codes_->levels});
      }
    }
    body(ops::detail::StoredImages<T>{values_.view().data() + begin});
  }

  /// The values of images first .. first + count - 1, valid until this thread asks again.
  [[nodiscard]] TensorView<const T> values(std::int64_t first, std::int64_t count) const {
    const Shape shape = shape_.with(0, count);
    const T* data = nullptr;
    visit(first, [&](const auto& images) {
      data = images.in_place(0);
      if (data != nullptr) return;
      T* const copy = ops::detail::gemm_scratch<T, 13>(shape.size());
      images.copy(0, shape.size(), copy);
      data = copy;
    });
    return {data, shape};
  }

 private:
  [[nodiscard]] static Whole<T> nothing() { return Whole<T>{Tensor<T>{}}; }

  Shape shape_;
  const Codes* codes_;
  Whole<T> values_;
};

/// Contributes to the gradient of w.
template <class T>
void conv2d_weight_gradient(BasicVar<T> w, TensorView<const T> dy, const Reader<T>& x,
                            const ops::Window& window, ops::Products products) {
  const Operand<T> values(x);
  w.tape().contribute(w, [&](TensorView<T> dw, bool accumulate) {
    values.visit(0, [&](const auto& images) {
      ops::detail::all_weight_sums(dw, dy.data(), images, dy.extent(0),
                                   ops::detail::patch_grid(x.shape(), window), products,
                                   {.accumulate = accumulate});
    });
  });
}

/// How a batch is taken through a derivative: group after group, so that what one operation writes
/// is in the second-level cache when the next one reads it.
struct ImageGroups {
  std::int64_t images = 0;  ///< of each group but the last
  std::int64_t count = 0;   ///< of groups; 0: all images at once

  /// Groups of images of dy `[N, OH, OW, C]`, each whole blocks of masks, with a sum of the
  /// gradients of w of their own. None where nothing waits or dy is empty, and where neither it nor
  /// x has `small_batch` elements, more than the last-level cache holds; nor for many weights,
  /// which would be prepared and added up again and again.
  template <class T>
  static ImageGroups of(const BasicGradient<T>& dy, const Shape& x, const Shape& w,
                        std::int64_t small_batch) {
    constexpr std::int64_t most = 1 << 19, most_sums = 1 << 21;
    const std::int64_t size = std::max(dy.size(), x.size());
    if (!dy.waits() || dy.size() == 0 || size < small_batch) return {};
    const std::int64_t all = dy.shape()[0], image = size / all;
    const std::int64_t least = std::clamp<std::int64_t>(size / 8, 1 << 12, 1 << 16);
    const std::int64_t most_groups = std::max<std::int64_t>(1, most_sums / w.size());
    const std::int64_t unit = ops::BitMask::block / std::gcd(ops::BitMask::block, dy.size() / all);
    const std::int64_t images = round_up(
        std::max((least + image - 1) / image, (all + most_groups - 1) / most_groups), unit);
    if (images * image > std::max(most, image) || 2 * images > all) return {};
    return {images, (all + images - 1) / images};
  }
};

/// For the result of a convolution, whose statistics a batch normalisation will want: in training,
/// of floats.
template <class T>
[[nodiscard]] std::unique_ptr<ops::ChannelMoments> moments_for(bool is_trained) {
  if (!is_trained || !std::is_same_v<T, float>) return nullptr;
  return std::make_unique<ops::ChannelMoments>();
}

/// `ops::grouped_conv2d_forward`. A depthwise one decodes what it reads some images at a time.
/// Returns whether the moments, where they are wanted, are those of y.
template <class T>
bool grouped_conv2d_sums(TensorView<T> y, const Reader<T>& x, const Reader<T>& w,
                         const ops::Window& window, std::int64_t groups,
                         ops::ChannelMoments* moments) {
  const Whole<T> weights = w.all();
  if (x.codes() == nullptr || !ops::is_depthwise(w.shape(), groups)) {
    ops::grouped_conv2d_forward(y, x.all().view(), weights.view(), window, groups);
    return false;
  }
  const Operand<T> values(x);
  const std::int64_t images = y.extent(0);
  const std::int64_t elements =
      std::max<std::int64_t>(1, x.shape().size() / std::max<std::int64_t>(1, images));
  const std::int64_t grain = std::max<std::int64_t>(1, (1 << 16) / elements);
  if (moments != nullptr) moments->start((images + grain - 1) / grain, y.shape().back());
  parallel_for(images, grain, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t count = last - first;
    const TensorView<T> part(y.data() + first * (y.size() / images), y.shape().with(0, count));
    ops::grouped_conv2d_forward(part, values.values(first, count), weights.view(), window, groups);
    if constexpr (std::is_same_v<T, float>) {
      if (moments == nullptr) return;
      moments->add(first / grain, part.size() / y.shape().back(), part.data());
    }
  });
  return true;
}

/// The derivatives of a convolution, group after group. `weight(dw, dy, first)` overwrites dw with
/// the sums over the images of dy, which start with image `first` of x;
/// `input(dx, dy, w, accumulate)` writes dx or adds to it. Gradients of w are added in order.
template <class T, class WeightGradient, class InputGradient>
void backward_in_groups(BasicVar<T> x, BasicVar<T> w, const Reader<T>& read_w,
                        const BasicGradient<T>& dy, const ImageGroups& groups,
                        WeightGradient weight, InputGradient input) {
  const std::int64_t images = dy.shape()[0], image = dy.size() / images;
  const std::int64_t x_image = x.shape().size() / images;
  std::shared_ptr<ops::GradientSums> wanted;
  if (x.needs_grad() && groups.images * x_image % ops::BitMask::block == 0) {
    wanted = x.tape().start_sums(x, groups.count);
  }
  Tensor<T> partial({w.needs_grad() ? groups.count : 0, w.shape().size()}, Uninitialized{});
  const Whole<T> weights = read_w.all();
  const auto run = [&](TensorView<T> dx, bool accumulate) {
    parallel_for(images, groups.images, [&](std::int64_t first, std::int64_t last) {
      const std::int64_t begin = first * image, end = last * image, count = last - first;
      T* const scratch = ops::detail::gemm_scratch<T, 12>(end - begin);
      const TensorView<const T> part(dy.read(begin, end, scratch), dy.shape().with(0, count));
      if (w.needs_grad()) {
        T* const sums = partial.data() + first / groups.images * partial.extent(1);
        weight(TensorView<T>(sums, w.shape()), part, first);
      }
      if (dx.data() == nullptr) return;
      const TensorView<T> dx_part(dx.data() + first * x_image, dx.shape().with(0, count));
      input(dx_part, part, weights.view(), accumulate);
      if constexpr (std::is_same_v<T, float>) {
        if (wanted == nullptr) return;
        wanted->add(first / groups.images, first * x_image, last * x_image, dx_part.data());
      }
    });
  };
  if (x.needs_grad()) {
    x.tape().contribute(x, run);
  } else {
    run({}, false);
  }
  if (wanted != nullptr) wanted->finish();
  if (w.needs_grad()) {
    ops::detail::add_partials(x.tape().accumulate(w).data(), partial.cview());
  }
}

}  // namespace detail

/// `ops::conv2d_forward`: x [N, H, W, Cin], w [Cout, kh, kw, Cin] -> [N, OH, OW, Cout].
///
/// Operands that are streamed from codes with integer levels are convolved as integers, exactly
/// (`ops::qconv2d_forward`), where the sums fit 32 bits and the tape's `integer_forward` is on.
/// Others take `ops::Sums::fewest_products` where a gradient is needed, else exact chains.
template <class T>
BasicVar<T> conv2d(BasicVar<T> x, BasicVar<T> w, const ops::Window& window) {
  BasicTape<T>& tape = x.tape();
  const Reader<T> read_x = tape.reader(x);
  const Reader<T> read_w = tape.reader(w);
  Tensor<T> y(ops::conv2d_output_shape(x.shape(), w.shape(), window), Uninitialized{});
  const bool is_trained = x.needs_grad() || w.needs_grad();
  auto moments = detail::moments_for<T>(is_trained);
  detail::conv2d_sums(y.view(), read_x, read_w, window, tape.integer_forward(),
                      is_trained ? ops::Sums::fewest_products : ops::Sums::chains, moments.get());
  const BasicVar<T> result = tape.record(
      "conv2d", std::move(y), {x, w}, [x, w, read_x, read_w, window](BasicGradient<T>& dy) {
        const ops::Products products = x.tape().gradient_products();
        const auto input = [&](TensorView<T> dx, TensorView<const T> part,
                               TensorView<const T> weights, bool accumulate) {
          ops::conv2d_backward_input(dx, part, weights, window,
                                     {.accumulate = accumulate, .products = products});
        };
        if (const auto groups =
                detail::ImageGroups::of(dy, x.shape(), w.shape(), BasicGradient<T>::large);
            groups.count > 0) {
          const detail::Operand<T> values(read_x);
          const auto weight = [&, grid = ops::detail::patch_grid(x.shape(), window)](
                                  TensorView<T> dw, TensorView<const T> part, std::int64_t first) {
            values.visit(first, [&](const auto& images) {
              ops::detail::weight_sums(dw.data(), part.data(), images, grid, dw.extent(0), 0,
                                       part.extent(0), products);
            });
          };
          return detail::backward_in_groups(x, w, read_w, dy, groups, weight, input);
        }
        const TensorView<const T> values = dy;
        if (w.needs_grad()) {
          detail::conv2d_weight_gradient(w, values, read_x, window, products);
        }
        if (x.needs_grad()) {
          x.tape().contribute(x, [&](TensorView<T> dx, bool accumulate) {
            input(dx, values, read_w.all().view(), accumulate);
          });
        }
      });
  tape.attach(result, std::move(moments));
  return result;
}

/// `ops::grouped_conv2d_forward`: x [N, H, W, Cin], w [Cout, kh, kw, Cin / groups] ->
/// [N, OH, OW, Cout]; depthwise when Cin = Cout = groups.
template <class T>
BasicVar<T> grouped_conv2d(BasicVar<T> x, BasicVar<T> w, const ops::Window& window,
                           std::int64_t groups) {
  BasicTape<T>& tape = x.tape();
  const Reader<T> read_x = tape.reader(x);
  const Reader<T> read_w = tape.reader(w);
  Tensor<T> y(ops::grouped_conv2d_output_shape(x.shape(), w.shape(), window, groups),
              Uninitialized{});
  auto moments = detail::moments_for<T>(x.needs_grad() || w.needs_grad());
  if (!detail::grouped_conv2d_sums(y.view(), read_x, read_w, window, groups, moments.get())) {
    moments = nullptr;
  }
  const BasicVar<T> result = tape.record(
      "grouped_conv2d", std::move(y), {x, w},
      [x, w, read_x, read_w, window, groups](BasicGradient<T>& dy) {
        const ops::Products products = x.tape().gradient_products();
        const auto input = [&](TensorView<T> dx, TensorView<const T> part,
                               TensorView<const T> weights, bool accumulate) {
          ops::grouped_conv2d_backward_input(dx, part, weights, window, groups,
                                             {.accumulate = accumulate, .products = products});
        };
        const std::int64_t small_batch =
            ops::is_depthwise(w.shape(), groups) ? 0 : BasicGradient<T>::large;
        if (const auto parts = detail::ImageGroups::of(dy, x.shape(), w.shape(), small_batch);
            parts.count > 0) {
          const detail::Operand<T> values(read_x);
          const auto weight = [&](TensorView<T> dw, TensorView<const T> part, std::int64_t first) {
            std::fill_n(dw.data(), dw.size(), T{0});
            ops::grouped_conv2d_backward_weight(dw, part, values.values(first, part.extent(0)),
                                                window, groups, products);
          };
          return detail::backward_in_groups(x, w, read_w, dy, parts, weight, input);
        }
        const TensorView<const T> values = dy;
        if (w.needs_grad()) {
          ops::grouped_conv2d_backward_weight(x.tape().accumulate(w), values, read_x.all().view(),
                                              window, groups, products);
        }
        if (x.needs_grad()) {
          x.tape().contribute(x, [&](TensorView<T> dx, bool accumulate) {
            input(dx, values, read_w.all().view(), accumulate);
          });
        }
      });
  tape.attach(result, std::move(moments));
  return result;
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
