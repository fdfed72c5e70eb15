// SPDX-License-Identifier: Apache-2.0
// The divergence of one result from another, differentiable on both sides.
#pragma once

#include <utility>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/ops/divergence.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

/// `temperature` divides both sides' logits, `epsilon` is that of `ops::DistillationOptions`.
struct DivergenceOptions {
  Divergence kind = Divergence::kl;
  double temperature = 1.0;
  double epsilon = 0.0;
};

/// D(softmax(teacher / T), softmax(student / T)), or the mean squared difference of the logits; one
/// element. Gradients flow into both sides that need one: a `constant` teaches without learning.
///
/// Shapes: student and teacher [N, classes]. Throws as `ops::kl_divergence_forward`.
template <class T>
BasicVar<T> divergence(BasicVar<T> student, BasicVar<T> teacher,
                       const DivergenceOptions& options = {}) {
  BasicTape<T>& tape = student.tape();
  const ops::DistillationOptions inner{.temperature = options.temperature,
                                       .epsilon = options.epsilon};
  Tensor<T> loss({1});
  if (options.kind == Divergence::mean_squared_error) {
    ops::mean_squared_error_forward(loss.view(), student.value().view(), teacher.value().view());
    const auto result =
        tape.record("divergence", std::move(loss), {student, teacher},
                    [student, teacher](TensorView<const T> dy) {
                      const auto give = [&](BasicVar<T> to, BasicVar<T> other) {
                        if (!to.needs_grad()) return;
                        ops::mean_squared_error_backward(to.tape().accumulate(to), dy,
                                                         to.value().view(), other.value().view());
                      };
                      give(student, teacher);
                      give(teacher, student);
                    });
    result.tape().keep(result, {student, teacher});
    return result;
  }
  Tensor<T> p(student.shape());
  Tensor<T> t(teacher.shape());
  ops::softmax_forward(t.view(), teacher.value().view(), options.temperature);
  const bool is_kl = options.kind == Divergence::kl;
  if (is_kl) {
    ops::kl_divergence_forward(loss.view(), p.view(), student.value().view(), t.view(), inner);
  } else {
    ops::soft_cross_entropy_forward(loss.view(), p.view(), student.value().view(), t.view(), inner);
  }
  return tape.record("divergence", std::move(loss), {student, teacher},
                     [student, teacher, p = std::move(p), t = std::move(t), inner, is_kl,
                      kind = options.kind](TensorView<const T> dy) {
                       if (student.needs_grad() && is_kl) {
                         ops::kl_divergence_backward(student.tape().accumulate(student), dy,
                                                     p.view(), t.view(), inner);
                       } else if (student.needs_grad()) {
                         ops::soft_cross_entropy_backward(student.tape().accumulate(student), dy,
                                                          p.view(), t.view(), inner);
                       }
                       if (teacher.needs_grad()) {
                         ops::divergence_backward_teacher(teacher.tape().accumulate(teacher), dy,
                                                          p.view(), t.view(), kind, inner);
                       }
                     });
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
