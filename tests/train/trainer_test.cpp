// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>
#include <support/tensors.hpp>
#include <support/training_run.hpp>

using namespace bitdial;

namespace {

/// Keeps what it is given and moves nothing.
class Recorder final : public train::Optimizer {
 public:
  using Optimizer::Optimizer;
  void step(float learning_rate) override {
    rates.push_back(learning_rate);
    gradients.clear();
    for (const auto& [name, parameter] : parameters()) gradients.push_back(parameter->grad);
  }
  nn::Named<Tensor<float>> state() override { return {}; }

  std::vector<float> rates;
  std::vector<Tensor<float>> gradients;
};

train::TrainerOptions options_with(const SelfDistillation& distillation) {
  return {.plans = test::training_plans(),
          .epochs = 3,
          .batch_size = 16,
          .learning_rate = train::ConstantSchedule{.rate = 0.1F},
          .distillation = distillation,
          .augment = {.shift = 1, .flip = true},
          .seed = 9};
}

struct OneStep {
  train::StepReport report;
  std::vector<Tensor<float>> gradients;
};

OneStep one_step(const SelfDistillation& distillation,
                 ops::Products products = ops::Products::f32) {
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  train::TrainerOptions options = options_with(distillation);
  options.gradient_products = products;
  train::Trainer trainer(net, test::training_data(), recorder, options);
  OneStep result{trainer.step(), {}};
  CHECK(recorder.rates == std::vector<float>{0.1F});
  result.gradients = recorder.gradients;
  return result;
}

/// The same step by hand: the teacher of plan i is `teachers(logits of all plans)[i]`.
template <class Teachers>
std::vector<Tensor<float>> gradients_by_hand(const SelfDistillation& options, Teachers teachers) {
  nn::Sequential net = test::training_network();
  data::BatchLoader loader(test::training_data(),
                           {.batch_size = 16, .augment = {.shift = 1, .flip = true}, .seed = 9});
  const data::Batch batch = loader.load(0, 0);
  std::vector<Tensor<float>> probabilities;
  for (const PrecisionPlan& plan : test::training_plans()) {
    Tape tape;
    probabilities.push_back(detached_probabilities(
        net.forward(tape.borrow(batch.images), {.plan = plan, .mode = nn::Mode::training}),
        options.temperature));
  }
  const std::vector<Tensor<float>> taught_by = teachers(probabilities);
  for (std::size_t i = 0; i < 3; ++i) {
    Tape tape;
    const Var logits = net.forward(tape.borrow(batch.images),
                                   {.plan = test::training_plans()[i], .mode = nn::Mode::training});
    Var loss = ad::softmax_cross_entropy(logits, batch.labels);
    if (!taught_by[i].empty()) {
      const Var divergence =
          ad::kl_divergence(logits, taught_by[i].view(), {.temperature = options.temperature});
      loss = ad::add(loss, ad::scale(divergence, options.weight));
    }
    tape.backward(loss);
  }
  std::vector<Tensor<float>> gradients;
  for (const auto& [name, parameter] : nn::parameters(net)) gradients.push_back(parameter->grad);
  return gradients;
}

bool all_same(const std::vector<Tensor<float>>& a, const std::vector<Tensor<float>>& b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) same = test::same_bits(a[i], b[i]);
  return same;
}

}  // namespace

TEST_CASE("a step is the sum of the gradients of all plans, with the teacher that was asked for") {
  using Tensors = std::vector<Tensor<float>>;
  const SelfDistillation none{.teacher = Teacher::none};
  const SelfDistillation highest{.teacher = Teacher::highest, .weight = 0.5F, .temperature = 2.0};
  const SelfDistillation ensemble{.teacher = Teacher::ensemble, .weight = 2.0F};
  CHECK(all_same(one_step(none).gradients,
                 gradients_by_hand(none, [](const Tensors&) { return Tensors(3); })));
  CHECK(all_same(one_step(highest).gradients, gradients_by_hand(highest, [](const Tensors& p) {
                   return Tensors{{}, p[0], p[0]};
                 })));
  CHECK(all_same(one_step(ensemble).gradients, gradients_by_hand(ensemble, [](const Tensors& p) {
                   const Tensor<float> mean = mean_distribution(p);
                   return Tensors{mean, mean, mean};
                 })));
}

TEST_CASE("who teaches shows in the losses") {
  const auto none = one_step({.teacher = Teacher::none}).report;
  const auto highest = one_step({.teacher = Teacher::highest}).report;
  const auto ensemble = one_step({.teacher = Teacher::ensemble}).report;
  CHECK(none.losses.size() == 3);
  CHECK(highest.losses[0] == none.losses[0]);  // the highest has no teacher
  CHECK(highest.losses[1] > none.losses[1]);
  CHECK(highest.losses[2] > none.losses[2]);
  for (std::size_t i = 0; i < 3; ++i) CHECK(ensemble.losses[i] > none.losses[i]);
  CHECK(none.images == 16);
  CHECK(none.accuracies == highest.accuracies);
  for (const float accuracy : none.accuracies) {
    CHECK(accuracy * 16.0F == std::floor(accuracy * 16.0F));
  }
}

TEST_CASE("bfloat16 products change the losses of a step not at all and its gradients a little") {
  const OneStep exact = one_step({});
  const OneStep rounded = one_step({}, ops::Products::bf16);
  CHECK(rounded.report.losses == exact.report.losses);
  CHECK_FALSE(all_same(rounded.gradients, exact.gradients));
  double product = 0.0, of_exact = 0.0, of_rounded = 0.0;
  for (std::size_t i = 0; i < exact.gradients.size(); ++i) {
    for (std::int64_t j = 0; j < exact.gradients[i].size(); ++j) {
      const double a = exact.gradients[i][j], b = rounded.gradients[i][j];
      product += a * b;
      of_exact += a * a;
      of_rounded += b * b;
    }
  }
  CHECK(product / std::sqrt(of_exact * of_rounded) > 0.999);
}

TEST_CASE("bfloat16 products train as well as float products") {
  const auto loss_after_training = [](ops::Products products) {
    nn::Sequential net = test::training_network();
    train::Sgd optimizer(nn::parameters(net), {.momentum = 0.9F});
    train::TrainerOptions options = options_with({});
    options.gradient_products = products;
    options.epochs = 20;
    train::Trainer trainer(net, test::training_data(), optimizer, options);
    float loss = 0.0F;
    for (int step = 0; step < 40; ++step) {
      const train::StepReport report = trainer.step();
      if (step >= 30) loss += report.losses[0] / 10.0F;
    }
    return loss;
  };
  const float with_floats = loss_after_training(ops::Products::f32);
  const float with_bf16 = loss_after_training(ops::Products::bf16);
  CAPTURE(with_floats);
  CAPTURE(with_bf16);
  CHECK(std::abs(with_bf16 - with_floats) < 0.1F * with_floats + 0.05F);
}

TEST_CASE("gradients do not pile up from step to step") {
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  train::Trainer trainer(net, test::training_data(), recorder, options_with({}));
  trainer.step();
  const auto first = recorder.gradients;
  trainer.set_position(0);
  trainer.step();
  CHECK(all_same(recorder.gradients, first));
}

TEST_CASE("one step moves the shared weights and every bank") {
  test::TrainingRun<train::Sgd, train::SgdOptions> run({}, options_with({}));
  const auto before = test::snapshot(run.network);
  run.trainer.step();
  const auto after = test::snapshot(run.network);
  const auto names = nn::state(run.network);
  for (std::size_t i = 0; i < before.size(); ++i) {
    CAPTURE(names[i].first);
    CHECK_FALSE(test::same_bits(before[i], after[i]));
  }
}

TEST_CASE("every epoch shows whole batches; the schedule sees the number of the step") {
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  train::TrainerOptions options = options_with({.teacher = Teacher::none});
  options.learning_rate = [](std::int64_t step) { return static_cast<float>(step); };
  train::Trainer trainer(net, test::training_data(), recorder, options);
  CHECK(trainer.steps_per_epoch() == 4);  // 70 images, 16 at a time
  CHECK(trainer.total_steps() == 12);
  for (std::int64_t step = 0; step < 5; ++step) {
    CHECK(trainer.position() == step);
    const train::StepReport report = trainer.step();
    CHECK(report.step == step);
    CHECK(report.epoch == step / 4);
    CHECK(report.learning_rate == static_cast<float>(step));
  }
  CHECK_FALSE(trainer.done());
  trainer.set_position(12);
  CHECK(trainer.done());
}

TEST_CASE("the losses of all plans fall") {
  test::TrainingRun<train::Sgd, train::SgdOptions> run({},
                                                       options_with({.teacher = Teacher::none}));
  std::vector<float> first(3);
  std::vector<float> last(3);
  for (int step = 0; step < 160; ++step) {
    const auto losses = run.trainer.step().losses;
    for (std::size_t i = 0; i < 3; ++i) {
      if (step < 8) first[i] += losses[i];
      if (step >= 152) last[i] += losses[i];
    }
  }
  for (std::size_t i = 0; i < 3; ++i) CHECK(last[i] < 0.7F * first[i]);
}

TEST_CASE("1, 2 and 7 threads give the same weights, bit for bit") {
  const auto weights_with = [](int threads) {
    set_thread_count(threads);
    test::TrainingRun<train::Sgd, train::SgdOptions> run(
        {}, options_with({.teacher = Teacher::ensemble}));
    for (int step = 0; step < 5; ++step) run.trainer.step();
    set_thread_count(0);
    return test::snapshot(run.network);
  };
  const auto one = weights_with(1);
  CHECK(all_same(weights_with(2), one));
  CHECK(all_same(weights_with(7), one));
}

TEST_CASE("a run that diverges names the step and the parameter, or the plan and the loss") {
  train::TrainerOptions options = options_with({});
  options.learning_rate = train::ConstantSchedule{.rate = std::numeric_limits<float>::infinity()};
  test::TrainingRun<train::Sgd, train::SgdOptions> run({}, options);
  CHECK(test::error_text<Error>([&] { run.trainer.step(); }) ==
        "trainer: step 0: stem.weight is not finite after the update; lower the learning rate");

  test::TrainingRun<train::Sgd, train::SgdOptions> other({}, options_with({}));
  for (const auto& [name, parameter] : nn::parameters(other.network)) {
    if (name == "head.bias") parameter->value[3] = std::numeric_limits<float>::infinity();
  }
  const std::string text = test::error_text<Error>([&] { other.trainer.step(); });
  CHECK(test::contains(text, "trainer: step 0, plan w8a8: the loss is "));
  CHECK(test::contains(text, "; head.bias is not finite; lower the learning rate"));
}

TEST_CASE("options out of range") {
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  const auto text = [&](const train::TrainerOptions& options) {
    return test::error_text<ConfigError>(
        [&] { train::Trainer(net, test::training_data(), recorder, options); });
  };
  CHECK(text({.plans = {}, .batch_size = 8}) == "trainer: expected at least one plan, got none");
  CHECK(text({.plans = test::training_plans(), .epochs = -1, .batch_size = 8}) ==
        "trainer: expected epochs >= 0, got -1");
  CHECK_FALSE(text({.plans = test::training_plans(), .batch_size = 71}).empty());
  CHECK(
      text({.plans = test::training_plans(), .batch_size = 8, .distillation = {.weight = -1.0F}}) ==
      "trainer: expected a distillation weight >= 0, got -1");
}

TEST_CASE("plans added after the optimizer was made are noticed") {
  nn::Sequential net = test::training_network();
  Recorder early(nn::parameters(net));
  const std::vector<PrecisionPlan> late{Precision{8, 2}};
  add_plans(net, late);
  const std::string text = test::error_text<ConfigError>(
      [&] { train::Trainer(net, test::training_data(), early, {.plans = late, .batch_size = 8}); });
  CHECK(test::contains(text, "trainer: the optimizer was made for "));
  CHECK(
      test::contains(text, "bn.w8a2.gamma' is not among them; make the optimizer after add_plans"));
}
