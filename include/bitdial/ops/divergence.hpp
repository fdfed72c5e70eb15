// SPDX-License-Identifier: Apache-2.0
// How far one set of logits is from another, and the derivative for the side that teaches.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <bitdial/ops/losses.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// How far a switch is from its teacher.
enum class Divergence : std::uint8_t {
  kl,                  ///< KL(teacher || switch), `ops::kl_divergence_forward`
  soft_cross_entropy,  ///< KL plus the entropy of the teacher: same gradient for the switch
  mean_squared_error,  ///< of logits, over images and classes; temperature plays no part
};

}  // namespace bitdial::inline BITDIAL_ABI

namespace bitdial::inline BITDIAL_ABI::ops {

/// The derivative of `kl_divergence` and `soft_cross_entropy` for the logits of the teacher, which
/// both take as t = softmax(zt / temperature):
///
///   dzt += dloss t (g - sum_c t g) / (N temperature),
///   g_c = log(t_c + eps) - log(p_c + eps) + 1 for KL,  g_c = -log p_c for soft cross-entropy.
///
/// p is the distribution of the student. Shapes: dzt, p and t [N, classes], dloss [1].
template <class T>
void divergence_backward_teacher(TensorView<T> dzt, TensorView<const std::type_identity_t<T>> dloss,
                                 TensorView<const std::type_identity_t<T>> p,
                                 TensorView<const std::type_identity_t<T>> t, Divergence kind,
                                 const DistillationOptions& options = {}) {
  detail::require_loss_gradient("divergence_backward_teacher", dzt, dloss, p);
  detail::require_shape("divergence_backward_teacher", "teacher", t, p.shape());
  detail::require_distillation("divergence_backward_teacher", options);
  const std::int64_t classes = p.extent(1);
  const double factor = static_cast<double>(dloss.data()[0]) /
                        (static_cast<double>(p.extent(0)) * options.temperature);
  // A distribution that underflowed has no logarithm, and no share in the derivative either.
  const auto logarithm = [](double value) { return std::log(std::max(value, 1e-300)); };
  std::vector<double> g(static_cast<std::size_t>(classes));
  for (std::int64_t n = 0; n < p.extent(0); ++n) {
    double mean = 0.0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const auto teacher = static_cast<double>(t.data()[n * classes + c]);
      const auto student = static_cast<double>(p.data()[n * classes + c]);
      const double slope = kind == Divergence::kl ? logarithm(teacher + options.epsilon) -
                                                        logarithm(student + options.epsilon) + 1.0
                                                  : -logarithm(student);
      g[static_cast<std::size_t>(c)] = slope;
      mean += teacher * slope;
    }
    for (std::int64_t c = 0; c < classes; ++c) {
      const auto teacher = static_cast<double>(t.data()[n * classes + c]);
      dzt.data()[n * classes + c] +=
          static_cast<T>(factor * teacher * (g[static_cast<std::size_t>(c)] - mean));
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
