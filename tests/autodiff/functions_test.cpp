// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/functions.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <bitdial/autodiff/divergence.hpp>
#include <bitdial/autodiff/grad_check.hpp>
#include <bitdial/ops/fake_quantize.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/scaled_dorefa.hpp>
#include <bitdial/quant/policies/two_sided.hpp>
#include <bitdial/quant/quantizer.hpp>
#include <bitdial/quant/statistics.hpp>

#include "../ops/op_support.hpp"

using namespace bitdial;
using namespace op_test;
using ops::Window;

using DVar = BasicVar<double>;
using DTape = BasicTape<double>;
using Leaves = std::span<const DVar>;

namespace {

// A loss that weights every element of y differently: sum_i weight_i y_i.
DVar weighted_sum(DVar y) {
  Tensor<double> weights = random_tensor<double>({1, y.shape().size()}, 99);
  const DVar flat = y.tape().record(
      "reshape",
      [&] {
        Tensor<double> value = y.value();
        value.reshape({1, y.shape().size()});
        return value;
      }(),
      {y},
      [y](TensorView<const double> dy) {
        ops::add_backward(y.tape().accumulate(y), TensorView<const double>(dy.data(), y.shape()));
      });
  return ad::linear(flat, y.tape().constant(std::move(weights)));
}

template <class Build>
void check(std::vector<Tensor<double>> inputs, Build build, double step = 1e-5) {
  const GradCheck result = check_gradients(std::move(inputs), build, step);
  CHECK_MESSAGE(result.error < 1e-7, result.text());
  CHECK(result.error >= 0.0);
}

Tensor<double> input(const Shape& shape, std::uint64_t seed = 1) {
  return random_tensor<double>(shape, seed);
}

}  // namespace

TEST_CASE("every function passes the gradient check in double") {
  const Shape image{2, 5, 7, 3};
  check({input(image), input({5, 3, 3, 3}, 2)}, [](DTape&, Leaves in) {
    return weighted_sum(ad::conv2d(in[0], in[1], Window::square(3, {.stride = 2, .padding = 1})));
  });
  check({input({2, 5, 7, 4}), input({6, 3, 3, 2}, 2)}, [](DTape&, Leaves in) {
    return weighted_sum(ad::grouped_conv2d(in[0], in[1], Window::square(3, {.padding = 1}), 2));
  });
  check({input(image), input({3, 3, 3, 1}, 2)}, [](DTape&, Leaves in) {
    const Window window = Window::square(3, {.stride = 2, .padding = 1});
    return weighted_sum(ad::grouped_conv2d(in[0], in[1], window, 3));
  });
  check({input({4, 5}), input({3, 5}, 2), input({3}, 3)},
        [](DTape&, Leaves in) { return weighted_sum(ad::linear(in[0], in[1], in[2])); });
  check({input(image), input({3}, 2), input({3}, 3)}, [](DTape&, Leaves in) {
    Tensor<double> mean({3});
    Tensor<double> var({3});
    return weighted_sum(ad::batch_norm(in[0], in[1], in[2], mean, var));
  });
  check({input(image), input({3}, 2), input({3}, 3)},
        [](DTape&, Leaves in) { return weighted_sum(ad::scale_shift(in[0], in[1], in[2])); });
  check({input(image)}, [](DTape&, Leaves in) {
    const Tensor<double> gamma({3}, 0.5), beta({3}, 0.25), mean({3}, 2.0), var({3}, 4.0);
    return weighted_sum(ad::batch_norm_eval(in[0], gamma, beta, mean, var));
  });
  check(
      {input(image)}, [](DTape&, Leaves in) { return weighted_sum(ad::relu(in[0])); }, 1e-6);
  check({input(image), input(image, 2)},
        [](DTape&, Leaves in) { return weighted_sum(ad::add(in[0], in[1])); });
  check({input(image)}, [](DTape&, Leaves in) { return weighted_sum(ad::scale(in[0], -2.5)); });
  check({input({3}), input({3}, 2)}, [](DTape&, Leaves in) {
    return weighted_sum(ad::sum({in[0], in[1], in[0]}));
  });
  check(
      {input(image)},
      [](DTape&, Leaves in) { return weighted_sum(ad::max_pool2d(in[0], Window::square(2))); },
      1e-6);
  check({input(image)}, [](DTape&, Leaves in) {
    return weighted_sum(ad::average_pool2d(in[0], Window::square(3, {.padding = 1})));
  });
  check({input(image)},
        [](DTape&, Leaves in) { return weighted_sum(ad::global_average_pool(in[0])); });
  const std::vector<std::int32_t> labels{2, 0, 1};
  check({input({3, 4})},
        [&](DTape&, Leaves in) { return ad::softmax_cross_entropy(in[0], labels); });
  Tensor<double> teacher({3, 4});
  ops::softmax_forward(teacher.view(), input({3, 4}, 7).view());
  check({input({3, 4})}, [&](DTape&, Leaves in) {
    return ad::soft_cross_entropy(in[0], teacher.view(), {.temperature = 2.0});
  });
  check({input({3, 4})}, [&](DTape&, Leaves in) {
    return ad::kl_divergence(in[0], teacher.view(), {.temperature = 2.0, .epsilon = 1e-3});
  });
}

TEST_CASE("a residual network passes the gradient check in double") {
  const std::vector<std::int32_t> labels{2, 0};
  Tensor<double> teacher({2, 3});
  ops::softmax_forward(teacher.view(), input({2, 3}, 7).view());
  check(
      {input({2, 6, 5, 2}), input({3, 3, 3, 2}, 2), input({3}, 3), input({3}, 4),
       input({3, 1, 1, 2}, 5), input({3, 3}, 6)},
      [&](DTape& tape, Leaves in) {
        Tensor<double> mean({3});
        Tensor<double> var({3});
        const DVar body =
            ad::batch_norm(ad::conv2d(in[0], in[1], Window::square(3, {.stride = 2, .padding = 1})),
                           in[2], in[3], mean, var);
        const DVar shortcut = ad::conv2d(in[0], in[4], Window::square(1, {.stride = 2}));
        const DVar joined = ad::relu(ad::add(body, shortcut));
        tape.discard(body);
        tape.discard(shortcut);
        const DVar logits = ad::linear(ad::global_average_pool(joined), in[5]);
        return ad::sum({ad::softmax_cross_entropy(logits, labels),
                        ad::scale(ad::kl_divergence(logits, teacher.view()), 0.5)});
      },
      1e-7);
}

TEST_CASE("gradients skip inputs that need none") {
  Tape tape;
  const Var x = tape.constant(random_tensor<float>({2, 5, 5, 3}, 1));
  const Var w = tape.leaf(random_tensor<float>({4, 3, 3, 3}, 2));
  const Var y = ad::global_average_pool(ad::conv2d(x, w, Window::square(3)));
  tape.backward(ad::softmax_cross_entropy(y, std::vector<std::int32_t>{0, 3}));
  CHECK(w.grad()[0] != 0.0F);
  CHECK_THROWS_AS(static_cast<void>(x.grad()), Error);
}

TEST_CASE("batch_norm moves the running statistics, batch_norm_eval does not") {
  Tape tape;
  const Var x = tape.constant(random_tensor<float>({4, 3}, 1));
  const Var one = tape.constant(Tensor<float>({3}, 1.0F));
  const Var zero = tape.constant(Tensor<float>({3}));
  Tensor<float> mean({3}, 5.0F);
  Tensor<float> var({3}, 5.0F);
  static_cast<void>(ad::batch_norm(x, one, zero, mean, var, {.momentum = 0.5}));
  CHECK(mean[0] ==
        doctest::Approx(2.5 + 0.125 * (x.value()[0] + x.value()[3] + x.value()[6] + x.value()[9])));
  const Tensor<float> before = mean;
  const Var y = ad::batch_norm_eval(x, one.value(), zero.value(), mean, var);
  CHECK(same_bits(mean, before));
  CHECK(y.value()[4] ==
        doctest::Approx((x.value()[4] - mean[1]) / std::sqrt(var[1] + 1e-5F)).epsilon(1e-5));
}

TEST_CASE("fake_quantize on the tape is the quantizer's forward and backward") {
  const Quantizer<DoReFaActivations> quantizer;
  const auto x = random_tensor<float>({1, 17}, 1, -0.5, 1.5);
  Tape tape;
  const Var leaf = tape.leaf(x);
  const Var y = ad::fake_quantize(leaf, quantizer, 2);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const float clipped = std::fmin(std::fmax(x[i], 0.0F), 1.0F);
    CHECK(y.value()[i] == doctest::Approx(std::nearbyint(clipped * 3.0F) / 3.0F));
  }
  const auto weights = random_tensor<float>({1, 17}, 2);
  tape.backward(ad::linear(y, tape.constant(weights)));
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const bool inside = x[i] >= 0.0F && x[i] <= 1.0F;
    CHECK(leaf.grad()[i] == (inside ? weights[i] : 0.0F));
  }
}

namespace {

/// What a policy quantizes, less its mean.
template <class Policy>
struct Centred : Policy {
  static constexpr std::string_view name = "Centred";
  void shift(std::span<const float> x, std::span<float> shifted) const {
    const auto mean = static_cast<float>(moments(x).mean);
    std::ranges::transform(x, shifted.begin(), [mean](float value) { return value - mean; });
  }
};

}  // namespace

TEST_CASE_TEMPLATE("a policy that shifts a tensor sees all of it", Policy,
                   Centred<ScaledDoReFaWeights>, Centred<DoReFaActivations>,
                   Centred<TwoSidedActivations>) {
  const Quantizer<Policy> quantizer;
  // Several pieces, with means of their own.
  Tensor<float> x = random_tensor<float>({3, 1000, 7}, 1);
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] += 1e-4F * static_cast<float>(i);
  const Tensor<float> dy = random_tensor<float>(x.shape(), 2);
  for (const int bits : {3, 32}) {
    CAPTURE(bits);
    const auto state = quantizer.fit(x.span(), bits);
    Tensor<float> expected(x.shape()), dx(x.shape());
    quantizer.fake_quantize(x.span(), state, bits, expected.span());
    quantizer.backward(x.span(), dy.span(), state, bits, dx.span());
    Tape tape;
    const Var leaf = tape.leaf(x);
    const Var y = ad::fake_quantize(leaf, quantizer, state, bits);
    CHECK(same_bits(y.value(), expected));
    tape.backward(y, dy);
    CHECK(same_bits(leaf.grad(), dx));
  }
}

TEST_CASE("fake_quantize with a given state does not measure x") {
  const Quantizer<DoReFaWeights> quantizer;
  const auto wide = random_tensor<float>({64}, 1, -2.0, 2.0);
  const auto x = random_tensor<float>({64}, 2, -0.25, 0.25);
  Tape tape;
  const Var y = ad::fake_quantize(tape.leaf(x), quantizer, quantizer.fit(wide.span()), 4);
  Tensor<float> expected({64});
  quantizer.fake_quantize(x.span(), quantizer.fit(wide.span()), 4, expected.span());
  CHECK(same_bits(y.value(), expected));
}

TEST_CASE("sum needs a term") {
  CHECK_THROWS_WITH_AS(static_cast<void>(ad::sum(std::span<const Var>())),
                       "sum: at least one term is needed, there is none", ConfigError);
}

TEST_CASE("the reader of a quantized value knows its codes") {
  Tape tape;
  const Quantizer<DoReFaActivations> quantizer;
  const Var x = tape.leaf(random_tensor<float>({7, 3}, 1, -0.5, 1.5));
  const Var y = ad::fake_quantize(x, quantizer, 2);
  const Reader<float> read = tape.reader(y);
  REQUIRE(read.codes() != nullptr);
  CHECK(read.codes()->bits == 2);
  tape.discard(y);
  const Whole<float> values = read.all();
  for (std::int64_t i = 0; i < 21; ++i) {
    REQUIRE(values.view().data()[i] == read.codes()->levels.value(read.codes()->values[i]));
  }
  CHECK(tape.reader(x).codes() == nullptr);
}

TEST_CASE("streamed chains equal the operations one by one, bit for bit") {
  // y = Q(relu(bn(x))), z = relu(bn(x) + y), with gradients dy and dz; odd rows.
  for (const std::int64_t channels : {16, 17}) {
    const Quantizer<DoReFaActivations> quantizer;
    const Shape shape{3, 11, 13, channels};
    const auto x = random_tensor<float>(shape, 1, -2.0, 3.0);
    const auto gamma = random_tensor<float>({channels}, 2);
    const auto beta = random_tensor<float>({channels}, 3);
    const auto dy = random_tensor<float>(shape, 4);
    const auto dz = random_tensor<float>(shape, 5);

    Tensor<float> mean({channels}), inv_std({channels}), running_mean({channels}),
        running_var({channels});
    Tensor<float> n(shape), r(shape), y(shape), z(shape);
    ops::batch_norm_forward(n.view(), mean.view(), inv_std.view(), running_mean.view(),
                            running_var.view(), x.view(), gamma.view(), beta.view());
    ops::relu_forward(r.view(), n.view());
    ops::fake_quantize_forward(y.view(), r.view(), quantizer, {}, 3);
    ops::add_forward(z.view(), n.view(), y.view());
    ops::relu_forward(z.view(), z.view());
    Tensor<float> sum_grad(shape), y_grad = dy, r_grad(shape), n_grad(shape), x_grad(shape);
    Tensor<float> gamma_grad({channels}), beta_grad({channels});
    ops::relu_backward(sum_grad.view(), dz.view(), z.view());
    ops::add_backward(n_grad.view(), sum_grad.view());
    ops::add_backward(y_grad.view(), sum_grad.view());
    ops::fake_quantize_backward(r_grad.view(), y_grad.view(), r.view(), quantizer, {}, 3);
    ops::relu_backward(n_grad.view(), r_grad.view(), r.view());
    ops::batch_norm_backward(x_grad.view(), gamma_grad.view(), beta_grad.view(), n_grad.view(),
                             x.view(), gamma.view(), mean.view(), inv_std.view());

    for (const int threads : {1, 2, 7}) {
      set_thread_count(threads);
      Tape tape;
      Tensor<float> tape_mean({channels}), tape_var({channels});
      const Var vx = tape.leaf(x);
      const Var vgamma = tape.leaf(gamma);
      const Var vbeta = tape.leaf(beta);
      const Var vn = ad::batch_norm(vx, vgamma, vbeta, tape_mean, tape_var);
      const Var vr = ad::relu(vn);
      const Var vy = ad::fake_quantize(vr, quantizer, DoReFaActivations::State{}, 3);
      const Var vz = ad::relu(ad::add(vn, vy));
      CHECK(tape.is_streamed(vn));
      CHECK(tape.is_streamed(vr));
      CHECK_FALSE(tape.is_streamed(vz));
      CHECK(same_bits(vy.value(), y));
      CHECK(same_bits(vz.value(), z));
      CHECK(same_bits(tape_mean, running_mean));
      CHECK(same_bits(tape_var, running_var));
      const Var loss =
          tape.record("loss", Tensor<float>({1}), {vy, vz}, [&](TensorView<const float>) {
            tape.give(vz, Gradient{dz});
            tape.give(vy, Gradient{dy});
          });
      tape.backward(loss);
      set_thread_count(0);
      // The sums of two gradients meet in another order; only the sign of a zero could tell.
      for (std::int64_t i = 0; i < x.size(); ++i) REQUIRE(vx.grad()[i] == x_grad[i]);
      CHECK(same_bits(vgamma.grad(), gamma_grad));
      CHECK(same_bits(vbeta.grad(), beta_grad));
    }
  }
}

TEST_CASE("the mean squared error and divergences between two results") {
  const Tensor<double> teacher = input({3, 4}, 5);
  check({input({3, 4})}, [&](DTape&, Leaves in) {
    return ad::mean_squared_error(ad::scale(in[0], 1.5), teacher.view());
  });
  for (const Divergence kind :
       {Divergence::kl, Divergence::soft_cross_entropy, Divergence::mean_squared_error}) {
    for (const double epsilon : {0.0, 1e-3}) {
      const ad::DivergenceOptions options{.kind = kind, .temperature = 1.5, .epsilon = epsilon};
      check({input({3, 4}), input({3, 4}, 2)}, [&](DTape&, Leaves in) {
        return ad::scale(ad::divergence(in[0], in[1], options), 0.7);
      });
    }
    // A constant teaches without learning, and as the ops with a constant teacher do.
    DTape tape;
    const DVar student = tape.leaf(input({3, 4}));
    const DVar constant = tape.constant(teacher);
    const DVar loss = ad::divergence(student, constant, {.kind = kind});
    CHECK_FALSE(constant.needs_grad());
    tape.backward(loss);
    DTape other;
    const DVar same = other.leaf(input({3, 4}));
    Tensor<double> p({3, 4});
    ops::softmax_forward(p.view(), teacher.view());
    const DVar expected = kind == Divergence::kl ? ad::kl_divergence(same, p.view())
                          : kind == Divergence::soft_cross_entropy
                              ? ad::soft_cross_entropy(same, p.view())
                              : ad::mean_squared_error(same, teacher.view());
    other.backward(expected);
    CHECK(loss.value()[0] == expected.value()[0]);
    for (std::int64_t i = 0; i < 12; ++i) CHECK(student.grad()[i] == same.grad()[i]);
  }
}
