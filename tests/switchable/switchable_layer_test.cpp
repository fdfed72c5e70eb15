// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/policies/logarithmic.hpp>
#include <bitdial/quant/policies/tanh.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

using Conv = SwitchableLayer<nn::Conv2d, BitList<8, 4, 2, 1>, DoReFaWeights, DoReFaActivations>;
using Head = SwitchableLayer<nn::Linear, BitList<8, 4, 2, 1>, DoReFaWeights, DoReFaActivations>;

constexpr nn::Conv2dOptions conv_options{.in = 3, .out = 5, .kernel = 3, .stride = 2, .padding = 1};

PrecisionPlan per_layer(std::vector<Precision> precisions) {
  return *PrecisionPlan::per_layer(std::move(precisions));
}

std::vector<std::string> names_of(nn::Module& network) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : nn::state(network)) names.push_back(name);
  return names;
}

/// Gamma of the state number `i` of a layer whose shared parameters come first.
nn::Parameter& gamma(nn::Module& network, std::size_t i) {
  return *nn::parameters(network)[1 + 2 * i].second;
}

}  // namespace

TEST_CASE("a state per (w, a): names, copies, independence") {
  Conv conv(conv_options);
  conv.add_plan(Precision{8, 8});
  gamma(conv, 0).value.fill(3.0F);
  for (const auto& [name, tensor] : nn::state(conv)) {
    if (test::contains(name, "running_var")) tensor->fill(7.0F);
  }
  conv.add_plan(Precision{8, 2});
  conv.add_plan(Precision{1, 2});
  conv.add_plan(Precision{8, 8});
  CHECK(names_of(conv) ==
        std::vector<std::string>{"weight", "bn.w8a8.gamma", "bn.w8a8.beta", "bn.w8a8.running_mean",
                                 "bn.w8a8.running_var", "bn.w8a2.gamma", "bn.w8a2.beta",
                                 "bn.w8a2.running_mean", "bn.w8a2.running_var", "bn.w1a2.gamma",
                                 "bn.w1a2.beta", "bn.w1a2.running_mean", "bn.w1a2.running_var"});
  CHECK(gamma(conv, 1).value[4] == 3.0F);
  CHECK((*nn::state(conv)[8].second)[4] == 7.0F);

  // A training pass of one switch touches the state of this switch only.
  Tape tape;
  const PrecisionPlan plan = Precision{8, 2};
  const Var y = conv.forward(tape.constant(test::random_images({2, 6, 6, 3}, 1)),
                             {.plan = plan, .mode = nn::Mode::training});
  CHECK(y.shape() == Shape{2, 3, 3, 5});
  CHECK((*nn::state(conv)[4].second)[0] == 7.0F);
  CHECK((*nn::state(conv)[8].second)[0] != 7.0F);
  CHECK((*nn::state(conv)[12].second)[0] == 7.0F);
}

TEST_CASE("a state per activation width") {
  SwitchableLayer<nn::Conv2d, BitList<8, 4, 2, 1>, AdaBitsWeights, DoReFaActivations,
                  KeyByActivationBits>
      conv(conv_options);
  for (const Precision precision : {Precision{8, 8}, {4, 8}, {8, 4}, {2, 4}}) {
    conv.add_plan(precision);
  }
  CHECK(names_of(conv).size() == 1 + 2 * 4);
  CHECK(names_of(conv)[5] == "bn.a4.gamma");
  CHECK(conv.nested());
  CHECK_FALSE(Conv(conv_options).nested());
}

TEST_CASE("a plan that was not added is refused with the plans that were") {
  Conv conv(conv_options);
  const PrecisionPlan plan = Precision{4, 4};
  conv.add_plan(Precision{8, 8});
  Tape tape;
  const Var x = tape.constant(Tensor<float>({1, 4, 4, 3}));
  for (const nn::Mode mode : {nn::Mode::training, nn::Mode::evaluation}) {
    const std::string text = test::error_text<PrecisionError>(
        [&] { static_cast<void>(conv.forward(x, {.plan = plan, .mode = mode})); });
    CHECK(test::contains(text, "switchable layer: no private state for w4a4; it has w8a8;"));
  }
}

TEST_CASE("a width outside the list is refused with the list") {
  Conv conv(conv_options);
  CHECK(
      test::error_text<PrecisionError>([&] {
        conv.add_plan(Precision{3, 8});
      }) ==
      "switchable layer: w3a8 is not one of its precisions: it has BitList<8, 4, 2, 1> and 32, of "
      "which DoReFaWeights quantizes weights to 1..8 bits and DoReFaActivations activations to "
      "1..8");
  CHECK_THROWS_AS(conv.add_plan(Precision{8, 5}), PrecisionError);
  CHECK_THROWS_AS(Conv(conv_options, {.pinned = Precision{8, 7}}), PrecisionError);
  CHECK_NOTHROW(conv.add_plan(Precision{32, 32}));
}

TEST_CASE("a pinned layer runs at its own precision and keeps a state per plan") {
  Conv pinned(conv_options, {.pinned = Precision{8, 8}});
  Conv free(conv_options);
  nn::initialize(pinned, 3);
  nn::initialize(free, 3);
  const PrecisionPlan low = Precision{1, 1};
  const PrecisionPlan high = Precision{8, 8};
  // Not even in the list of widths: only what runs must be.
  const PrecisionPlan other = Precision{5, 3};
  for (const PrecisionPlan& plan : {high, low, other}) pinned.add_plan(plan);
  free.add_plan(high);
  CHECK(pinned.executed(low) == Precision{8, 8});
  CHECK(names_of(pinned)[5] == "bn.w1a1.gamma");
  Tape tape;
  const Var x = tape.constant(test::random_images({1, 5, 5, 3}, 2));
  CHECK(test::same_bits(pinned.forward(x, {.plan = low}).value(),
                        free.forward(x, {.plan = high}).value()));
}

TEST_CASE("a plan per layer: each layer takes its entry") {
  nn::Sequential net;
  net.add<Conv>("a", conv_options);
  net.add<Conv>("b", nn::Conv2dOptions{.in = 5, .out = 2, .kernel = 1});
  const PrecisionPlan plan = per_layer({{8, 4}, {2, 1}});

  const std::vector<PrecisionPlan> plans{plan};
  CHECK(
      test::error_text<PrecisionError>([&] { add_plans(net, plans); }) ==
      "plan: w8a4,w2a1 has 2 entries, but this layer has no number; call nn::number_layers on the "
      "complete network");
  nn::number_layers(net);
  add_plans(net, plans);
  CHECK(names_of(net)[1] == "a.bn.w8a4.gamma");
  CHECK(names_of(net)[6] == "b.bn.w2a1.gamma");
  CHECK(nn::quantized_layers(net)[1].second->executed(plan) == Precision{2, 1});
}

TEST_CASE("a plan with a wrong number of entries is refused with both numbers") {
  nn::Sequential net;
  net.add<Conv>("a", conv_options);
  net.add<Conv>("b", nn::Conv2dOptions{.in = 5, .out = 2, .kernel = 1});
  net.add<Conv>("c", nn::Conv2dOptions{.in = 2, .out = 2, .kernel = 1});
  nn::number_layers(net);
  const Precision p{4, 4};
  const std::vector<PrecisionPlan> wrong[] = {{per_layer({p, p})}, {per_layer({p, p, p, p})}};
  CHECK(test::error_text<PrecisionError>([&] { add_plans(net, wrong[0]); }) ==
        "add_plans: plan w4a4,w4a4 has 2 entries, the network has 3 quantized layers");
  CHECK_THROWS_AS(add_plans(net, wrong[1]), PrecisionError);
  CHECK(names_of(net).size() == 3);
  CHECK(test::contains(test::error_text<PrecisionError>([&] {
                         static_cast<void>(
                             nn::quantized_layers(net)[2].second->executed(wrong[0][0]));
                       }),
                       "2 entries, the network has 3 quantized layers"));
}

TEST_CASE("plans that one layer refuses leave all layers as they were") {
  nn::Sequential net;
  net.add<Conv>("a", conv_options);
  net.add<SwitchableLayer<nn::Conv2d, BitList<8>>>(
      "b", nn::Conv2dOptions{.in = 5, .out = 2, .kernel = 1});
  nn::number_layers(net);
  const std::size_t before = nn::state(net).size();
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}};
  CHECK_THROWS_AS(add_plans(net, plans), PrecisionError);
  CHECK(nn::state(net).size() == before);
  add_plans(net, std::span(plans).first(1));
  CHECK(nn::state(net).size() > before);
}

TEST_CASE("training is BN(layer(Q_a(x), Q_w(W))), bit for bit") {
  for (const bool in_integers : {true, false}) {
    Conv conv(conv_options);
    nn::initialize(conv, 4);
    const Tensor<float> x = test::random_tensor({2, 7, 5, 3}, 5, -0.5F, 1.5F);
    for (const Precision precision :
         {Precision{8, 8}, {2, 4}, {1, 1}, {32, 4}, {2, 32}, {32, 32}}) {
      CAPTURE(in_integers);
      CAPTURE(precision.text());
      const PrecisionPlan plan = precision;
      conv.add_plan(plan);
      Tape tape;
      tape.set_integer_forward(in_integers);
      const Var y = conv.forward(tape.borrow(x), {.plan = plan, .mode = nn::Mode::training});
      const Var quantized_x =
          ad::fake_quantize(tape.borrow(x), Quantizer<DoReFaActivations>{}, precision.a);
      // A weight that wants a gradient, as in training: the order of sums depends on it.
      Tensor<float> gradient(conv.layer().weight().value.shape());
      const Var w = tape.parameter(conv.layer().weight().value, gradient);
      const Var quantized_w = ad::fake_quantize(w, Quantizer<DoReFaWeights>{}, precision.w);
      nn::BatchNormState state(5);
      const Var expected =
          nn::batch_norm(ad::conv2d(quantized_x, quantized_w, conv.layer().window()), state, {},
                         nn::Mode::training);
      CHECK(test::same_bits(y.value(), expected.value()));
    }
  }
}

TEST_CASE("evaluation is the fake-quantized layer with running statistics, to f32 accuracy") {
  Conv conv(conv_options);
  nn::initialize(conv, 6);
  const Tensor<float> x = test::random_tensor({2, 7, 5, 3}, 7, -0.5F, 1.5F);
  for (const int w : {1, 2, 4, 8}) {
    for (const int a : {1, 2, 4, 8}) {
      const PrecisionPlan plan = Precision{w, a};
      CAPTURE(plan.text());
      conv.add_plan(plan);
      nn::BatchNormState state(5);
      state.running_mean = test::random_tensor({5}, 8);
      state.running_var = test::random_tensor({5}, 9, 0.5F, 2.0F);
      state.gamma.value = test::random_tensor({5}, 10);
      state.beta.value = test::random_tensor({5}, 11);
      const std::string prefix = "bn." + Precision{w, a}.text();
      for (const auto& [name, tensor] : nn::state(conv)) {
        if (name == prefix + ".gamma") *tensor = state.gamma.value;
        if (name == prefix + ".beta") *tensor = state.beta.value;
        if (name == prefix + ".running_mean") *tensor = state.running_mean;
        if (name == prefix + ".running_var") *tensor = state.running_var;
      }
      Tape tape;
      const Var y = conv.forward(tape.borrow(x), {.plan = plan});
      CHECK_FALSE(y.needs_grad());
      const Var sums =
          ad::conv2d(ad::fake_quantize(tape.borrow(x), Quantizer<DoReFaActivations>{}, a),
                     ad::fake_quantize(tape.borrow(conv.layer().weight().value),
                                       Quantizer<DoReFaWeights>{}, w),
                     conv.layer().window());
      for (std::int64_t i = 0; i < y.value().size(); ++i) {
        const std::int64_t c = i % 5;
        const double expected = static_cast<double>(state.gamma.value[c]) *
                                    (static_cast<double>(sums.value()[i]) -
                                     static_cast<double>(state.running_mean[c])) /
                                    std::sqrt(static_cast<double>(state.running_var[c]) + 1e-5) +
                                static_cast<double>(state.beta.value[c]);
        CHECK(std::abs(static_cast<double>(y.value()[i]) - expected) < 2e-5);
      }
    }
  }
}

TEST_CASE("a linear layer has its bias in place of batch normalisation") {
  Head head(nn::LinearOptions{.in = 6, .out = 3});
  nn::initialize(head, 12);
  head.layer().bias().value = test::random_tensor({3}, 13);
  const PrecisionPlan plan = Precision{2, 4};
  head.add_plan(plan);
  CHECK(names_of(head) == std::vector<std::string>{"weight", "bias"});
  const nn::Epilogue epilogue = head.epilogue(plan);
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(epilogue.multiplier[c] == (1.0F / 3.0F) * (1.0F / 15.0F));
    CHECK(epilogue.bias[c] == head.layer().bias().value[static_cast<std::int64_t>(c)]);
  }
  const Tensor<float> x = test::random_images({4, 6}, 14);
  Tape tape;
  const Var exact = head.forward(tape.borrow(x), {.plan = plan});
  const Var real = head.forward(tape.borrow(x), {.plan = plan, .mode = nn::Mode::training});
  for (std::int64_t i = 0; i < 12; ++i) {
    CHECK(exact.value()[i] == doctest::Approx(real.value()[i]).epsilon(1e-5));
  }
}

TEST_CASE("gradients of several plans add up in the shared weights, and stay apart in the bank") {
  const PrecisionPlan plans[] = {Precision{8, 8}, Precision{2, 2}};
  const auto gradients = [&](std::vector<int> chosen) {
    Conv conv(conv_options);
    nn::initialize(conv, 15);
    add_plans(conv, plans);
    for (const int i : chosen) {
      Tape tape;
      const Var y = conv.forward(tape.constant(test::random_images({2, 5, 5, 3}, 16)),
                                 {.plan = plans[i], .mode = nn::Mode::training});
      const std::vector<std::int32_t> labels{1, 2};
      tape.backward(ad::softmax_cross_entropy(ad::global_average_pool(y), labels));
    }
    std::vector<Tensor<float>> result;
    for (const auto& [name, parameter] : nn::parameters(conv)) result.push_back(parameter->grad);
    return result;
  };
  const auto high = gradients({0});
  const auto low = gradients({1});
  const auto both = gradients({0, 1});
  for (std::int64_t i = 0; i < both[0].size(); ++i) {
    CHECK(both[0][i] == doctest::Approx(high[0][i] + low[0][i]).epsilon(1e-4));
  }
  CHECK(test::same_bits(both[1], high[1]));  // gamma of w8a8
  CHECK(test::same_bits(both[2], high[2]));
  CHECK(test::same_bits(both[3], low[3]));  // gamma of w2a2
  CHECK(test::same_bits(high[3], Tensor<float>({5})));
}

TEST_CASE("values that are not equidistant are looked up: wider codes, one unit") {
  SwitchableLayer<nn::Conv2d, BitList<4>, DoReFaWeights, LogActivations> conv(conv_options);
  nn::initialize(conv, 17);
  const PrecisionPlan plan = Precision{4, 4};
  conv.add_plan(plan);
  Tape tape;
  const Var y = conv.forward(tape.constant(test::random_tensor({1, 5, 5, 3}, 18)), {.plan = plan});
  CHECK(!y.needs_grad());
  CHECK(conv.packed(plan) == Precision{4, 8});
  CHECK(conv.activation_levels(plan).offset == 0);
  const IntegerLevels levels = conv.activation_levels(plan);
  CHECK(levels.value(conv.activation_code(1.0F, plan)) == doctest::Approx(1.0));
  CHECK(conv.activation_code(0.0F, plan) > 0);
}

TEST_CASE("32 bits have no integer form") {
  Conv real(conv_options);
  real.add_plan(Precision{});
  CHECK(test::error_text<PrecisionError>(
            [&] { static_cast<void>(real.activation_levels(Precision{})); }) ==
        "switchable layer: DoReFaWeights with DoReFaActivations at 32 bits has no integer form; it "
        "trains and evaluates in f32 but does not pack");
}

TEST_CASE("ranges that training measures are frozen in evaluation") {
  const auto check = [](auto& conv, float least_difference) {
    nn::initialize(conv, 19);
    const PrecisionPlan plan = Precision{4, 4};
    conv.add_plan(plan);
    const Tensor<float> image = test::random_tensor({1, 5, 5, 3}, 20);
    Tensor<float> pair({2, 5, 5, 3}, 3.0F);  // the second image has a far wider range
    std::ranges::copy(image.span(), pair.data());
    Tape tape;
    static_cast<void>(
        conv.forward(tape.constant(image), {.plan = plan, .mode = nn::Mode::training}));
    const Tensor<float> alone = conv.forward(tape.constant(image), {.plan = plan}).value();
    const Tensor<float> beside = conv.forward(tape.constant(pair), {.plan = plan}).value();
    for (std::int64_t i = 0; i < alone.size(); ++i) CHECK(alone[i] == beside[i]);

    // Training does measure each batch: its results depend on the images beside, and so does the
    // running range afterwards.
    static_cast<void>(
        conv.forward(tape.constant(pair), {.plan = plan, .mode = nn::Mode::training}));
    const Tensor<float> later = conv.forward(tape.constant(image), {.plan = plan}).value();
    float difference = 0.0F;
    for (std::int64_t i = 0; i < alone.size(); ++i) {
      difference = std::max(difference, std::abs(later[i] - alone[i]));
    }
    CHECK(difference > least_difference);
  };
  SwitchableLayer<nn::Conv2d, BitList<4>, DoReFaWeights, TanhActivations> tanh(conv_options);
  check(tanh, 1e-3F);
  SwitchableLayer<nn::Conv2d, BitList<4>, DoReFaWeights, LogActivations> logarithmic(conv_options);
  check(logarithmic, 1e-3F);
}

TEST_CASE("a plan must have one entry per layer of the network, or one for all") {
  nn::Sequential net;
  net.add<Conv>("first", conv_options);
  nn::number_layers(net);
  const PrecisionPlan plan = Precision{4, 4};
  add_plans(net, {{plan}});
  Tape tape;
  const Var x = tape.constant(test::random_tensor({1, 5, 5, 3}, 21));
  const auto three = *PrecisionPlan::per_layer({{4, 4}, {4, 4}, {4, 4}});
  CHECK(test::error_text<PrecisionError>([&] {
          static_cast<void>(net.forward(x, {.plan = three}));
        }) == "plan: w4a4,w4a4,w4a4 has 3 entries, the network has 1 quantized layers");
}
