// SPDX-License-Identifier: Apache-2.0
#include <bitdial/search/composite_layer.hpp>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/autodiff/grad_check.hpp>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/models/googlenet.hpp>
#include <bitdial/models/mobilenet_v1.hpp>
#include <bitdial/models/mobilenet_v2.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/nn/cost.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/policies/two_sided.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

/// The candidates of the paper, narrowest first in its lists; here widest first.
using PaperWidths = Candidates<BitList<4, 3, 2, 1>, BitList<4, 3, 2>>;
using PaperLinear = CompositeLayer<nn::Linear, PaperWidths>;

void set(Tensor<float>& tensor, std::initializer_list<float> values) {
  REQUIRE(tensor.size() == static_cast<std::int64_t>(values.size()));
  std::ranges::copy(values, tensor.data());
}

void check_close(std::span<const float> found, std::initializer_list<double> expected) {
  REQUIRE(found.size() == expected.size());
  std::size_t i = 0;
  for (const double value : expected) {
    CAPTURE(i);
    CHECK(found[i++] == doctest::Approx(value).epsilon(2e-6));
  }
}

const PrecisionPlan any_plan = PrecisionPlan::uniform("w8a8");

}  // namespace

TEST_CASE("the composite dot product of the paper's code, with all its derivatives") {
  PaperLinear layer(nn::LinearOptions{.in = 6, .out = 1});
  set(layer.layer().weight().value, {-1.2F, -0.5F, -0.1F, 0.05F, 0.3F, 0.8F});
  set(layer.weight_shares().alpha->value, {0.0F, 0.2F, -0.1F, 0.3F});
  set(layer.activation_shares().alpha->value, {-0.1F, 0.0F, 0.1F});
  Tensor<float> x({1, 6});
  set(x, {0.2F, 1.0F, 0.45F, 2.3F, 0.9F, 1.5F});

  Tape tape;
  const Var input = tape.leaf(x);
  const Var y = layer.forward(input, {.plan = any_plan, .mode = nn::Mode::training});
  CHECK(y.value()[0] == doctest::Approx(1.319612796).epsilon(1e-6));
  tape.backward(y);
  check_close(layer.layer().weight().grad.span(),
              {0.1624896, 0.9937642, 0.4156373, 2.0080957, 0.9937642, 1.5718911});
  check_close(layer.weight_shares().alpha->grad.span(),
              {-0.0672618, -0.1673028, 0.1359918, 0.0985728});
  check_close(layer.activation_shares().alpha->grad.span(), {0.0016039, -0.0036115, 0.0020076});
  check_close(input.grad().span(),
              {-0.9315191, -0.5284444, -0.3153501, 0.0947973, 0.3669445, 0.7184249});
}

namespace {

/// The loss of a composite linear layer in double. A change of x or w goes through the declared
/// surrogates, around the quantized values; a change of alpha through the shares.
template <class WeightPolicy, class ActivationPolicy, class WeightBits, class ActivationBits>
struct Reference {
  Tensor<double> x, w, bias, alpha_w, alpha_a;
  std::vector<std::int32_t> labels;

  template <class Policy>
  static std::vector<double> surrogate(const Tensor<double>& at, int bits) {
    const std::span<const double> values = at.span();
    std::vector<double> y(values.size());
    surrogate_forward(Policy{}, values, {}, bits, std::span<double>(y));
    return y;
  }

  template <class Policy, class Bits>
  static Tensor<double> mixed(const Tensor<double>& start, const Tensor<double>& now,
                              const Tensor<double>& alpha) {
    Tensor<double> p(alpha.shape());
    ops::mixture_shares(p.view(), alpha.view());
    std::vector<float> narrow(start.span().begin(), start.span().end());
    Tensor<double> sum(start.shape());
    for (std::size_t i = 0; i < Bits::values.size(); ++i) {
      std::vector<float> quantized(narrow.size());
      Quantizer<Policy>{}.fake_quantize(narrow, Bits::values[i], quantized);
      const auto before = surrogate<Policy>(start, Bits::values[i]);
      const auto after = surrogate<Policy>(now, Bits::values[i]);
      for (std::size_t k = 0; k < quantized.size(); ++k) {
        sum[static_cast<std::int64_t>(k)] +=
            p[static_cast<std::int64_t>(i)] *
            (static_cast<double>(quantized[k]) + after[k] - before[k]);
      }
    }
    return sum;
  }

  [[nodiscard]] double loss(const Reference& start) const {
    BasicTape<double> tape;
    const auto input = tape.constant(mixed<ActivationPolicy, ActivationBits>(start.x, x, alpha_a));
    const auto weight = tape.constant(mixed<WeightPolicy, WeightBits>(start.w, w, alpha_w));
    const auto y = ad::linear(input, weight, tape.constant(bias));
    return ad::softmax_cross_entropy(y, std::span<const std::int32_t>(labels)).value()[0];
  }
};

Tensor<double> wide(const Tensor<float>& narrow) {
  Tensor<double> result(narrow.shape());
  std::ranges::copy(narrow.span(), result.data());
  return result;
}

template <class WeightPolicy, class ActivationPolicy>
void check_against_differences(std::uint64_t seed) {
  using WeightBits = BitList<4, 3, 2, 1>;
  using ActivationBits = BitList<4, 3, 2>;
  CompositeLayer<nn::Linear, Candidates<WeightBits, ActivationBits>, WeightPolicy, ActivationPolicy>
      layer(nn::LinearOptions{.in = 7, .out = 4});
  Random random(seed, 0);
  const auto fill = [&](Tensor<float>& tensor, float low, float high) {
    for (float& value : tensor.span()) value = random.uniform(low, high);
  };
  Tensor<float> x({5, 7});
  fill(x, -0.7F, 2.5F);
  fill(layer.layer().weight().value, -0.9F, 0.9F);
  fill(layer.layer().bias().value, -0.3F, 0.3F);
  nn::Parameter& alpha_w = *layer.weight_shares().alpha;
  nn::Parameter& alpha_a = *layer.activation_shares().alpha;
  fill(alpha_w.value, -1.0F, 1.0F);
  fill(alpha_a.value, -1.0F, 1.0F);
  const std::vector<std::int32_t> labels{3, 0, 1, 2, 1};

  Tape tape;
  const Var input = tape.leaf(x);
  const Var y = layer.forward(input, {.plan = any_plan, .mode = nn::Mode::training});
  tape.backward(ad::softmax_cross_entropy(y, std::span<const std::int32_t>(labels)));

  Reference<WeightPolicy, ActivationPolicy, WeightBits, ActivationBits> now{
      wide(x),
      wide(layer.layer().weight().value),
      wide(layer.layer().bias().value),
      wide(alpha_w.value),
      wide(alpha_a.value),
      labels};
  const auto start = now;
  const auto check = [&](const char* what, Tensor<double>& varied, const Tensor<float>& gradient) {
    CAPTURE(what);
    const Tensor<double> analytic = wide(gradient);
    const GradCheck worst = check_gradient(
        varied.view(), analytic.view(), [&] { return now.loss(start); }, 1e-6);
    CHECK_MESSAGE(worst.error < 2e-6, worst.text());
  };
  check("x", now.x, input.grad());
  check("w", now.w, layer.layer().weight().grad);
  check("bias", now.bias, layer.layer().bias().grad);
  check("alpha of weights", now.alpha_w, alpha_w.grad);
  check("alpha of activations", now.alpha_a, alpha_a.grad);
}

}  // namespace

TEST_CASE("gradients are finite differences of the declared surrogates, in double") {
  check_against_differences<GaussianWeights, HwgqActivations>(1);
  check_against_differences<DoReFaWeights, DoReFaActivations>(2);
}

TEST_CASE("a mixture of one width is that quantized layer") {
  using One = Candidates<BitList<3>, BitList<2>>;
  const nn::Conv2dOptions options{.in = 3, .out = 5, .kernel = 3, .stride = 2, .padding = 1};
  CompositeConv2d<One> composite(options);
  SwitchableLayer<nn::Conv2d, BitList<3, 2>, GaussianWeights, HwgqActivations> switchable(options);
  const PrecisionPlan plan = PrecisionPlan::uniform("w3a2");
  switchable.add_plan(plan);
  nn::initialize(composite, 3);
  nn::initialize(switchable, 3);
  const Tensor<float> x = test::random_images({2, 9, 8, 3}, 4);
  for (const nn::Mode mode : {nn::Mode::training, nn::Mode::evaluation}) {
    Tape tape;
    tape.set_integer_forward(false);
    const Var a = composite.forward(tape.borrow(x), {.plan = plan, .mode = mode});
    const Var b = switchable.forward(tape.borrow(x), {.plan = plan, .mode = mode});
    REQUIRE(a.shape() == b.shape());
    for (std::int64_t i = 0; i < a.shape().size(); ++i) {
      CHECK(a.value()[i] == doctest::Approx(b.value()[i]).epsilon(1e-4));
    }
  }
}

namespace {

/// Builds a network over candidates and over a bit list: the same layers, the same cost; then one
/// training pass gives every alpha a gradient.
void check_network(nn::Module& searched, nn::Module& switchable, const Shape& image) {
  const nn::NetworkCost cost = nn::cost(searched, image);
  const nn::NetworkCost expected = nn::cost(switchable, image);
  CHECK(cost.multiply_accumulates() == expected.multiply_accumulates());
  CHECK(cost.parameters() == expected.parameters());
  REQUIRE(cost.layers.size() == expected.layers.size());
  for (std::size_t i = 0; i < cost.layers.size(); ++i) {
    CHECK(cost.layers[i].name == expected.layers[i].name);
  }
  CHECK(searched_layers(searched).size() == cost.layers.size() - 2);  // not the first and the last

  nn::initialize(searched, 5);
  const std::vector<PrecisionPlan> plans{any_plan};
  add_plans(searched, plans);
  const Tensor<float> x = test::random_images({4, image[0], image[1], image[2]}, 6);
  Tape tape;
  const Var logits =
      searched.forward(tape.borrow(x), {.plan = any_plan, .mode = nn::Mode::training});
  const std::vector<std::int32_t> labels{0, 1, 2, 1};
  tape.backward(ad::softmax_cross_entropy(logits, std::span<const std::int32_t>(labels)));
  for (const auto& entry : architecture_parameters(searched)) {
    CAPTURE(entry.first);
    nn::Parameter* const alpha = entry.second;
    float largest = 0.0F;
    double sum = 0.0;
    for (const float slope : alpha->grad.span()) {
      CHECK(std::isfinite(slope));
      largest = std::max(largest, std::abs(slope));
      sum += static_cast<double>(slope);
    }
    CHECK(largest > 0.0F);
    CHECK(std::abs(sum) < 1e-4 * static_cast<double>(largest) + 1e-6);  // shares always add up to 1
  }
  CHECK_THROWS_AS(static_cast<void>(pack(searched, {.plans = plans, .input_shape = image})),
                  PrecisionError);
}

}  // namespace

TEST_CASE("networks are searched by their first template argument") {
  SUBCASE("ResNet-8") {
    const models::ResNetCifarOptions options{.depth = 8, .width = 4, .classes = 3};
    check_network(*models::resnet_cifar<PaperWidths, GaussianWeights, HwgqActivations>(options),
                  *models::resnet_cifar<BitList<4, 2>, DoReFaWeights, DoReFaActivations>(options),
                  {12, 11, 3});
  }
  SUBCASE("MobileNet-V1, depthwise layers") {
    const models::MobileNetV1Options options{.width = 0.13, .stem_stride = 1, .classes = 3};
    check_network(*models::mobilenet_v1<PaperWidths, GaussianWeights, HwgqActivations>(options),
                  *models::mobilenet_v1<BitList<4, 2>, DoReFaWeights, DoReFaActivations>(options),
                  {20, 20, 3});
  }
  SUBCASE("MobileNet-V2, linear bottlenecks, measured policies") {
    const models::MobileNetV2Options options{.width = 0.1, .stem_stride = 1, .classes = 3};
    check_network(*models::mobilenet_v2<Candidates<BitList<4, 2>>>(options),
                  *models::mobilenet_v2<BitList<4, 2>, DoReFaWeights, DoReFaActivations>(options),
                  {20, 20, 3});
  }
  SUBCASE("pre-activated ResNet-8: normalisations that stand alone") {
    const models::ResNetCifarOptions options{
        .depth = 8, .width = 4, .order = models::ResidualOrder::preactivated, .classes = 3};
    check_network(*models::resnet_cifar<PaperWidths, GaussianWeights, HwgqActivations>(options),
                  *models::resnet_cifar<BitList<4, 2>, DoReFaWeights, DoReFaActivations>(options),
                  {12, 11, 3});
  }
  SUBCASE("ReLU before normalisation") {
    const models::ResNetCifarOptions options{
        .depth = 8, .width = 4, .order = models::ResidualOrder::conv_relu_norm, .classes = 3};
    check_network(
        *models::resnet_cifar<Candidates<BitList<4, 2>>, DoReFaWeights, TwoSidedActivations>(
            options),
        *models::resnet_cifar<BitList<4, 2>, DoReFaWeights, DoReFaActivations>(options),
        {12, 11, 3});
  }
  SUBCASE("GoogLeNet, branches") {
    const models::GoogLeNetOptions options{.width = 0.1, .classes = 3};
    check_network(*models::googlenet<PaperWidths, GaussianWeights, HwgqActivations>(options),
                  *models::googlenet<BitList<4, 2>, DoReFaWeights, DoReFaActivations>(options),
                  {64, 64, 3});
  }
  SUBCASE("learned steps") {
    const models::ResNetCifarOptions options{.depth = 8, .width = 4, .classes = 3};
    check_network(
        *models::resnet_cifar<Candidates<BitList<4, 2>>, LsqWeights, LsqActivations>(options),
        *models::resnet_cifar<BitList<4, 2>, DoReFaWeights, DoReFaActivations>(options),
        {12, 12, 3});
  }
}

TEST_CASE("the chosen plan takes the largest share of every operand") {
  const auto net = models::resnet_cifar<PaperWidths, GaussianWeights, HwgqActivations>(
      {.depth = 8, .width = 4, .classes = 3});
  const auto layers = searched_layers(*net);
  // Equal shares: the widest.
  CHECK(chosen_plan(*net).at(1) == Precision{4, 4});
  set(layers[0].second->weight_shares().alpha->value, {0.0F, 0.2F, 0.1F, 0.0F});
  set(layers[0].second->activation_shares().alpha->value, {0.0F, 0.0F, 0.5F});
  const PrecisionPlan plan = chosen_plan(*net);
  CHECK(plan.size() == layers.size() + 2);
  CHECK(plan.at(0) == Precision{8, 8});  // pinned
  CHECK(plan.at(1) == Precision{3, 2});
  CHECK(plan.at(2) == Precision{4, 4});
  CHECK(plan.at(plan.size() - 1) == Precision{8, 8});
}

TEST_CASE("a pinned layer is not searched; a mixture has no integer form") {
  CHECK_THROWS_WITH_AS(
      PaperLinear(nn::LinearOptions{.in = 2, .out = 2}, {.pinned = Precision{8, 8}}),
      "composite layer: it is pinned at w8a8, so there is nothing to search; use a "
      "SwitchableLayer",
      ConfigError);
  const PaperLinear layer(nn::LinearOptions{.in = 2, .out = 2});
  CHECK_THROWS_WITH_AS(static_cast<void>(layer.weight_codes(2)),
                       "composite layer: it is a mixture of precisions and has no integer form; "
                       "train a network of switchable layers at chosen_plan(network) and pack that "
                       "one",
                       PrecisionError);
}
