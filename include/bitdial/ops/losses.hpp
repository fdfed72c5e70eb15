// SPDX-License-Identifier: Apache-2.0
// Softmax, cross-entropy with labels or with a teacher's distribution, Kullback-Leibler divergence,
// mean squared error.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include <bitdial/ops/detail/check.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// `temperature` T > 0: the student's distribution is softmax(z / T). No factor T^2 is applied:
/// scale the loss where a recipe wants it (Hinton et al., arXiv 1503.02531).
/// `epsilon` >= 0 is added to both distributions inside `kl_divergence` (SP-Nets' code: 1e-5).
/// Other values are a `ConfigError`.
struct DistillationOptions {
  double temperature = 1.0;
  double epsilon = 0.0;

  friend bool operator==(const DistillationOptions&, const DistillationOptions&) = default;
};

namespace detail {

template <class T>
void require_logits(std::string_view op, const TensorView<T>& z) {
  require_rank(op, "logits", z, 2, "[N, classes]");
  if (z.extent(0) < 1 || z.extent(1) < 1) {
    throw ShapeError(concat(op, ": logits are empty: ", z.shape()));
  }
}

inline void require_temperature(std::string_view op, double temperature) {
  if (!(temperature > 0.0)) {
    throw ConfigError(concat(op, ": temperature must be positive, it is ", temperature));
  }
}

inline void require_distillation(std::string_view op, const DistillationOptions& options) {
  require_temperature(op, options.temperature);
  if (!(options.epsilon >= 0.0)) {
    throw ConfigError(concat(op, ": epsilon must not be negative, it is ", options.epsilon));
  }
}

/// One label per image, each in 0 .. classes - 1; `name` is that of the tensor `logits`.
template <class T>
void require_labels(std::string_view op, std::string_view name, const TensorView<T>& logits,
                    std::span<const std::int32_t> labels) {
  if (static_cast<std::int64_t>(labels.size()) != logits.extent(0)) {
    throw ShapeError(concat(op, ": ", labels.size(), " labels for ", name, " ", logits.shape()));
  }
  for (std::size_t n = 0; n < labels.size(); ++n) {
    if (labels[n] < 0 || labels[n] >= logits.extent(1)) {
      throw ConfigError(concat(op, ": label ", labels[n], " of image ", n, " is not in 0 .. ",
                               logits.extent(1) - 1));
    }
  }
}

/// What the derivatives of all losses read: p and dz of one shape, one dloss.
template <class T>
void require_loss_gradient(std::string_view op, const TensorView<T>& dz,
                           const TensorView<const T>& dloss, const TensorView<const T>& p) {
  require_logits(op, p);
  require_shape(op, "dz", dz, p.shape());
  require_shape(op, "dloss", dloss, {1});
}

/// log(sum_c exp(z_c / temperature)), computed around the maximum.
template <class T>
[[nodiscard]] double log_sum_exp(const T* z, std::int64_t classes, double temperature) {
  const auto top = static_cast<double>(*std::max_element(z, z + classes));
  double sum = 0.0;
  for (std::int64_t c = 0; c < classes; ++c) {
    sum += std::exp((static_cast<double>(z[c]) - top) / temperature);
  }
  return top / temperature + std::log(sum);
}

}  // namespace detail

/// p[n, c] = exp(z[n, c] / T) / sum_k exp(z[n, k] / T). Shapes: p, z [N, classes]. Never overflows.
template <class T>
void softmax_forward(TensorView<T> p, TensorView<const std::type_identity_t<T>> z,
                     double temperature = 1.0) {
  detail::require_logits("softmax", z);
  detail::require_shape("softmax", "p", p, z.shape());
  detail::require_temperature("softmax", temperature);
  const std::int64_t classes = z.extent(1);
  for (std::int64_t n = 0; n < z.extent(0); ++n) {
    const T* const in = z.data() + n * classes;
    const double total = detail::log_sum_exp(in, classes, temperature);
    for (std::int64_t c = 0; c < classes; ++c) {
      p.data()[n * classes + c] =
          static_cast<T>(std::exp(static_cast<double>(in[c]) / temperature - total));
    }
  }
}

/// loss[0] = -1/N sum_n log p[n, label[n]] with p = softmax(z), saved for the derivative.
///
/// Shapes: loss [1], p and z [N, classes], N labels in 0 .. classes - 1 (else `ConfigError`).
template <class T>
void softmax_cross_entropy_forward(TensorView<T> loss, TensorView<T> p,
                                   TensorView<const std::type_identity_t<T>> z,
                                   std::span<const std::int32_t> labels) {
  detail::require_logits("softmax_cross_entropy", z);
  detail::require_shape("softmax_cross_entropy", "loss", loss, {1});
  const std::int64_t images = z.extent(0);
  const std::int64_t classes = z.extent(1);
  detail::require_labels("softmax_cross_entropy", "logits", z, labels);
  softmax_forward(p, z);
  double sum = 0.0;
  for (std::int64_t n = 0; n < images; ++n) {
    const std::int32_t label = labels[static_cast<std::size_t>(n)];
    const T* const in = z.data() + n * classes;
    sum += detail::log_sum_exp(in, classes, 1.0) - static_cast<double>(in[label]);
  }
  loss.data()[0] = static_cast<T>(sum / static_cast<double>(images));
}

/// dz += dloss (p - onehot(label)) / N.
template <class T>
void softmax_cross_entropy_backward(TensorView<T> dz,
                                    TensorView<const std::type_identity_t<T>> dloss,
                                    TensorView<const std::type_identity_t<T>> p,
                                    std::span<const std::int32_t> labels) {
  detail::require_loss_gradient("softmax_cross_entropy_backward", dz, dloss, p);
  detail::require_labels("softmax_cross_entropy_backward", "p", p, labels);
  const std::int64_t classes = p.extent(1);
  const T factor = dloss.data()[0] / static_cast<T>(p.extent(0));
  for (std::int64_t n = 0; n < p.extent(0); ++n) {
    const std::int32_t label = labels[static_cast<std::size_t>(n)];
    for (std::int64_t c = 0; c < classes; ++c) {
      const T target = c == label ? T{1} : T{0};
      dz.data()[n * classes + c] += factor * (p.data()[n * classes + c] - target);
    }
  }
}

/// loss[0] = -1/N sum_n sum_c t[n, c] log p[n, c] with p = softmax(z / temperature), saved.
///
/// t is the teacher's distribution, a constant. Shapes: loss [1], p, z and t [N, classes].
template <class T>
void soft_cross_entropy_forward(TensorView<T> loss, TensorView<T> p,
                                TensorView<const std::type_identity_t<T>> z,
                                TensorView<const std::type_identity_t<T>> t,
                                const DistillationOptions& options = {}) {
  detail::require_logits("soft_cross_entropy", z);
  detail::require_distillation("soft_cross_entropy", options);
  detail::require_shape("soft_cross_entropy", "teacher", t, z.shape());
  detail::require_shape("soft_cross_entropy", "loss", loss, {1});
  softmax_forward(p, z, options.temperature);
  const std::int64_t classes = z.extent(1);
  double sum = 0.0;
  for (std::int64_t n = 0; n < z.extent(0); ++n) {
    const T* const in = z.data() + n * classes;
    const double total = detail::log_sum_exp(in, classes, options.temperature);
    for (std::int64_t c = 0; c < classes; ++c) {
      sum += static_cast<double>(t.data()[n * classes + c]) *
             (total - static_cast<double>(in[c]) / options.temperature);
    }
  }
  loss.data()[0] = static_cast<T>(sum / static_cast<double>(z.extent(0)));
}

/// dz += dloss (p sum_c t_c - t) / (N temperature).
template <class T>
void soft_cross_entropy_backward(TensorView<T> dz, TensorView<const std::type_identity_t<T>> dloss,
                                 TensorView<const std::type_identity_t<T>> p,
                                 TensorView<const std::type_identity_t<T>> t,
                                 const DistillationOptions& options = {}) {
  detail::require_loss_gradient("soft_cross_entropy_backward", dz, dloss, p);
  detail::require_shape("soft_cross_entropy_backward", "teacher", t, p.shape());
  detail::require_distillation("soft_cross_entropy_backward", options);
  const std::int64_t classes = p.extent(1);
  const T factor = static_cast<T>(static_cast<double>(dloss.data()[0]) /
                                  (static_cast<double>(p.extent(0)) * options.temperature));
  for (std::int64_t n = 0; n < p.extent(0); ++n) {
    const T* const teacher = t.data() + n * classes;
    T mass{0};
    for (std::int64_t c = 0; c < classes; ++c) mass += teacher[c];
    for (std::int64_t c = 0; c < classes; ++c) {
      const std::int64_t i = n * classes + c;
      dz.data()[i] += factor * (p.data()[i] * mass - teacher[c]);
    }
  }
}

/// loss[0] = 1/N sum_n sum_c (t + eps) log((t + eps) / (p + eps)), p = softmax(z / temperature).
///
/// A class with t + eps = 0 adds nothing. Shapes as in `soft_cross_entropy_forward`.
/// Source: the self-distillation loss of SP-Nets (arXiv 2002.02815), whose code has eps = 1e-5.
template <class T>
void kl_divergence_forward(TensorView<T> loss, TensorView<T> p,
                           TensorView<const std::type_identity_t<T>> z,
                           TensorView<const std::type_identity_t<T>> t,
                           const DistillationOptions& options = {}) {
  detail::require_logits("kl_divergence", z);
  detail::require_distillation("kl_divergence", options);
  detail::require_shape("kl_divergence", "teacher", t, z.shape());
  detail::require_shape("kl_divergence", "loss", loss, {1});
  softmax_forward(p, z, options.temperature);
  const std::int64_t classes = z.extent(1);
  double sum = 0.0;
  for (std::int64_t n = 0; n < z.extent(0); ++n) {
    const T* const in = z.data() + n * classes;
    const double total = detail::log_sum_exp(in, classes, options.temperature);
    for (std::int64_t c = 0; c < classes; ++c) {
      const double teacher = static_cast<double>(t.data()[n * classes + c]) + options.epsilon;
      if (!(teacher > 0.0)) continue;
      // Without epsilon the logarithm of p comes from the logits: p itself may underflow.
      const double log_p = static_cast<double>(in[c]) / options.temperature - total;
      const double log_student =
          options.epsilon > 0.0 ? std::log(std::exp(log_p) + options.epsilon) : log_p;
      sum += teacher * (std::log(teacher) - log_student);
    }
  }
  loss.data()[0] = static_cast<T>(sum / static_cast<double>(z.extent(0)));
}

/// With r_c = (t_c + eps) p_c / (p_c + eps): dz += dloss (p sum_c r_c - r) / (N temperature).
template <class T>
void kl_divergence_backward(TensorView<T> dz, TensorView<const std::type_identity_t<T>> dloss,
                            TensorView<const std::type_identity_t<T>> p,
                            TensorView<const std::type_identity_t<T>> t,
                            const DistillationOptions& options = {}) {
  detail::require_loss_gradient("kl_divergence_backward", dz, dloss, p);
  detail::require_shape("kl_divergence_backward", "teacher", t, p.shape());
  detail::require_distillation("kl_divergence_backward", options);
  const std::int64_t classes = p.extent(1);
  const double factor = static_cast<double>(dloss.data()[0]) /
                        (static_cast<double>(p.extent(0)) * options.temperature);
  const auto share = [&](std::int64_t i) {
    const auto teacher = static_cast<double>(t.data()[i]);
    if (options.epsilon == 0.0) return teacher;
    const auto student = static_cast<double>(p.data()[i]);
    return (teacher + options.epsilon) * student / (student + options.epsilon);
  };
  for (std::int64_t n = 0; n < p.extent(0); ++n) {
    double mass = 0.0;
    for (std::int64_t c = 0; c < classes; ++c) mass += share(n * classes + c);
    for (std::int64_t c = 0; c < classes; ++c) {
      const std::int64_t i = n * classes + c;
      dz.data()[i] += static_cast<T>(factor * (static_cast<double>(p.data()[i]) * mass - share(i)));
    }
  }
}

/// loss[0] = 1/(N classes) sum_n sum_c (z[n, c] - t[n, c])^2, on logits.
///
/// t are the teacher's logits, constants. Shapes: loss [1], z and t [N, classes].
template <class T>
void mean_squared_error_forward(TensorView<T> loss, TensorView<const std::type_identity_t<T>> z,
                                TensorView<const std::type_identity_t<T>> t) {
  detail::require_logits("mean_squared_error", z);
  detail::require_shape("mean_squared_error", "teacher", t, z.shape());
  detail::require_shape("mean_squared_error", "loss", loss, {1});
  double sum = 0.0;
  for (std::int64_t i = 0; i < z.size(); ++i) {
    const double difference = static_cast<double>(z.data()[i]) - static_cast<double>(t.data()[i]);
    sum += difference * difference;
  }
  loss.data()[0] = static_cast<T>(sum / static_cast<double>(z.size()));
}

/// dz += dloss 2 (z - t) / (N classes).
template <class T>
void mean_squared_error_backward(TensorView<T> dz, TensorView<const std::type_identity_t<T>> dloss,
                                 TensorView<const std::type_identity_t<T>> z,
                                 TensorView<const std::type_identity_t<T>> t) {
  detail::require_loss_gradient("mean_squared_error_backward", dz, dloss, z);
  detail::require_shape("mean_squared_error_backward", "teacher", t, z.shape());
  const T factor = T{2} * dloss.data()[0] / static_cast<T>(z.size());
  for (std::int64_t i = 0; i < z.size(); ++i) {
    dz.data()[i] += factor * (z.data()[i] - t.data()[i]);
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
