// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>
#include <support/damaged_source.hpp>
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

train::TrainerOptions options_with(const Teaching& teaching) {
  return {.plans = test::training_plans(),
          .epochs = 3,
          .batch_size = 16,
          .gradient_share = 0.0F,  // gradients as they are
          .learning_rate = train::ConstantSchedule{.rate = 0.1F},
          .teaching = teaching,
          .augment = {.shift = 1, .flip = true},
          .seed = 9};
}

struct OneStep {
  train::StepReport report;
  std::vector<Tensor<float>> gradients;
};

OneStep one_step(const train::TrainerOptions& options) {
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  train::Trainer trainer(net, test::training_data(), recorder, options);
  OneStep result{trainer.step(), {}};
  CHECK(recorder.rates == std::vector<float>{0.1F});
  result.gradients = recorder.gradients;
  return result;
}
OneStep one_step(const Teaching& teaching) {
  return one_step(options_with(teaching));
}

/// The same step by hand: plan i learns from `teachers(lessons of all plans)[i]`.
template <class Teachers>
std::vector<Tensor<float>> gradients_by_hand(const Teaching& teaching, Teachers teachers) {
  nn::Sequential net = test::training_network();
  data::BatchLoader loader(test::training_data(),
                           {.batch_size = 16, .augment = {.shift = 1, .flip = true}, .seed = 9});
  const data::Batch batch = loader.load(0, 0);
  std::vector<Tensor<float>> lessons;
  for (const PrecisionPlan& plan : test::training_plans()) {
    Tape tape;
    lessons.push_back(lesson_of(
        net.forward(tape.borrow(batch.images), {.plan = plan, .mode = nn::Mode::training}),
        teaching));
  }
  const std::vector<std::vector<Tensor<float>>> taught_by = teachers(lessons);
  for (std::size_t i = 0; i < 3; ++i) {
    Tape tape;
    const Var logits = net.forward(tape.borrow(batch.images),
                                   {.plan = test::training_plans()[i], .mode = nn::Mode::training});
    const float label_weight = taught_by[i].empty() ? 1.0F : teaching.label_weight;
    Var loss = ad::scale(ad::softmax_cross_entropy(logits, batch.labels), label_weight);
    for (const Tensor<float>& lesson : taught_by[i]) {
      Var divergence;
      if (teaching.divergence == Divergence::kl) {
        divergence =
            ad::kl_divergence(logits, lesson.view(),
                              {.temperature = teaching.temperature, .epsilon = teaching.epsilon});
      } else if (teaching.divergence == Divergence::soft_cross_entropy) {
        divergence = ad::soft_cross_entropy(logits, lesson.view());
      } else {
        divergence = ad::mean_squared_error(logits, lesson.view());
      }
      loss = ad::add(loss, ad::scale(divergence, teaching.weight));
    }
    if (!teaching.switch_weights.empty()) loss = ad::scale(loss, teaching.switch_weights[i]);
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

TEST_CASE(
    "a step is the sum of the gradients of all plans, with the teachers that were asked for") {
  using Lessons = std::vector<Tensor<float>>;
  using Taught = std::vector<Lessons>;
  const auto check = [](const Teaching& teaching, auto teachers) {
    CHECK(all_same(one_step(teaching).gradients, gradients_by_hand(teaching, teachers)));
  };
  const auto from_labels = [](const Lessons&) { return Taught(3); };
  const auto from_highest = [](const Lessons& p) { return Taught{{}, {p[0]}, {p[0]}}; };
  const auto from_next = [](const Lessons& p) { return Taught{{}, {p[0]}, {p[1]}}; };
  const auto from_all_higher = [](const Lessons& p) { return Taught{{}, {p[0]}, {p[0], p[1]}}; };
  const auto from_ensemble = [](const Lessons& p) {
    const Tensor<float> mean = mean_lesson(p);
    return Taught{{mean}, {mean}, {mean}};
  };
  check(methods::adabits(), from_labels);
  check(methods::sp_nets(), from_highest);
  check({.teacher = Teacher::highest, .weight = 0.5F, .temperature = 2.0}, from_highest);
  check({.teacher = Teacher::ensemble, .weight = 2.0F}, from_ensemble);
  check(methods::any_precision(), from_next);
  check(methods::any_precision_soft(), from_highest);
  check(methods::instantnet(), from_all_higher);
  check(methods::quantizable(0.25F), from_highest);
  check(methods::quantizable(0.25F, Divergence::mean_squared_error), from_highest);
  check({.teacher = Teacher::next_higher, .switch_weights = {0.5F, 1.0F, 3.0F}}, from_next);
}

TEST_CASE("a chosen teacher is the best of the higher switches, or a random one of them") {
  using Lessons = std::vector<Tensor<float>>;
  using Taught = std::vector<Lessons>;
  const OneStep step = one_step(methods::coquant());
  const std::vector<float> label_losses = one_step(methods::adabits()).report.losses;
  const int best = label_losses[1] < label_losses[0] ? 1 : 0;
  CHECK(step.report.teachers == std::vector<int>{-1, 0, best});
  CHECK(all_same(step.gradients, gradients_by_hand(methods::coquant(), [&](const Lessons& p) {
                   return Taught{{}, {p[0]}, {p[static_cast<std::size_t>(best)]}};
                 })));

  Teaching chosen = methods::coquant(1.0F, Teacher::chosen);
  std::vector<std::vector<float>> seen;
  chosen.choose = [&](std::span<const float> losses, std::int64_t) {
    seen.emplace_back(losses.begin(), losses.end());
    return losses.size() - 1;
  };
  CHECK(one_step(chosen).report.teachers == std::vector<int>{-1, 0, 1});
  CHECK(seen ==
        std::vector<std::vector<float>>{{label_losses[0]}, {label_losses[0], label_losses[1]}});

  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  train::Trainer trainer(net, test::training_data(), recorder,
                         options_with(methods::coquant(1.0F, Teacher::random)));
  int of_highest = 0;
  for (int i = 0; i < 40; ++i) {
    const std::vector<int> teachers = trainer.step().teachers;
    CHECK(teachers[1] == 0);
    of_highest += teachers[2] == 0 ? 1 : 0;
  }
  CHECK(of_highest > 8);
  CHECK(of_highest < 32);
}

TEST_CASE("a joint loss sees the logits of all plans and gives each its gradient") {
  const ConsistencyOptions options{.lambda = 0.25F};
  train::TrainerOptions joint = options_with({});
  joint.joint_loss = consistency_loss(options);
  const OneStep together = one_step(joint);
  const OneStep in_order = one_step(methods::quantizable(0.25F));
  REQUIRE(together.gradients.size() == in_order.gradients.size());
  for (std::size_t i = 0; i < together.gradients.size(); ++i) {
    for (std::int64_t j = 0; j < together.gradients[i].size(); ++j) {
      CHECK(std::abs(together.gradients[i][j] - in_order.gradients[i][j]) < 1e-6F);
    }
  }
  CHECK(together.report.loss == doctest::Approx(in_order.report.loss).epsilon(1e-6));
  CHECK(together.report.losses == one_step(methods::adabits()).report.losses);
  CHECK(together.report.accuracies == in_order.report.accuracies);

  joint.joint_loss = [](std::span<const Tensor<float>>, std::span<const std::int32_t>) {
    return JointLossValue{};
  };
  CHECK(test::error_text<ConfigError>([&] { one_step(joint); }) ==
        "trainer: expected one gradient of the joint loss per plan, got 0 for 3");
  joint.joint_loss = [](std::span<const Tensor<float>>, std::span<const std::int32_t>) {
    return JointLossValue{.loss = std::numeric_limits<float>::infinity(), .gradients = {}};
  };
  CHECK(test::contains(test::error_text<Error>([&] { one_step(joint); }),
                       "trainer: step 0, joint loss: the loss is inf; all parameters are finite"));
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
  CHECK(none.loss == none.losses[0] + none.losses[1] + none.losses[2]);
  CHECK(none.images == 16);
  CHECK(none.accuracies == highest.accuracies);
  for (const float accuracy : none.accuracies) {
    CHECK(accuracy * 16.0F == std::floor(accuracy * 16.0F));
  }
}

TEST_CASE("CoQuant's share of swapped blocks falls from a tenth to nothing") {
  const train::BlockSwap swap = train::BlockSwap::coquant(200);
  CHECK(swap.probability(0) == 0.1F);
  CHECK(swap.probability(100) == doctest::Approx(0.05));
  CHECK(swap.probability(200) == 0.0F);
  CHECK(swap.blocks.empty());
}

TEST_CASE("students borrow blocks of their teachers, more of them where the schedule says so") {
  train::TrainerOptions options = options_with(methods::coquant(1.0F, Teacher::next_higher));
  options.block_swap.blocks = {{.name = "stem", .first = 0, .count = 1},
                               {.name = "middle", .first = 1, .count = 1}};
  options.block_swap.probability = train::PiecewiseLinearSchedule({{0, 0.0F}, {10, 1.0F}});
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  train::Trainer trainer(net, test::training_data(), recorder, options);
  CHECK(trainer.step().plans == test::training_plans());
  std::vector<std::vector<PrecisionPlan>> plans;
  for (int step = 1; step < 10; ++step) plans.push_back(trainer.step().plans);
  const std::vector<PrecisionPlan> last = trainer.step().plans;
  CHECK(last[0].text() == "w8a8");
  CHECK(last[1].text() == "w8a8,w8a8,w4a4");
  CHECK(last[2].text() == "w4a4,w4a4,w2a2");  // what the teacher is, not what it borrowed
  // The same steps again, from the middle.
  trainer.set_position(5);
  CHECK(trainer.step().plans == plans[4]);
  CHECK(plans[4] != plans[5]);
}

TEST_CASE("other plans in every step") {
  train::TrainerOptions options = options_with({.teacher = Teacher::next_higher});
  options.plans_of_step = [](std::int64_t step) {
    std::vector<PrecisionPlan> plans = test::training_plans();
    plans.resize(static_cast<std::size_t>(3 - step % 3));
    return plans;
  };
  test::TrainingRun<train::Sgd, train::SgdOptions> run({}, options);
  CHECK(run.trainer.step().losses.size() == 3);
  const train::StepReport second = run.trainer.step();
  CHECK(second.losses.size() == 2);
  CHECK(second.plans.size() == 2);
  CHECK(second.teachers == std::vector<int>{-1, 0});
  options.plans_of_step = [](std::int64_t) { return std::vector<PrecisionPlan>{}; };
  test::TrainingRun<train::Sgd, train::SgdOptions> none({}, options);
  CHECK(test::error_text<ConfigError>([&] { none.trainer.step(); }) ==
        "trainer: step 0: plans_of_step gives no plan");
}

TEST_CASE("bfloat16 products change the losses of a step not at all and its gradients a little") {
  train::TrainerOptions options = options_with({});
  const OneStep exact = one_step(options);
  options.gradient_products = ops::Products::bf16;
  const OneStep rounded = one_step(options);
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

TEST_CASE("every switch has an equal part of the share that gradients may be of a parameter") {
  constexpr float share = 0.03F;
  train::TrainerOptions options = options_with({});
  const OneStep whole = one_step(options);
  options.gradient_share = share;
  const OneStep limited = one_step(options);
  CHECK_FALSE(all_same(whole.gradients, limited.gradients));

  nn::Sequential net = test::training_network();
  const nn::Named<nn::Parameter> parameters = nn::parameters(net);
  train::ClippedGradients by_hand(parameters);
  for (std::size_t i = 0; i < 3; ++i) {
    Teaching alone{.switch_weights = {0.0F, 0.0F, 0.0F}};
    alone.switch_weights[i] = 1.0F;
    const OneStep switched = one_step(alone);
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      parameters[p].second->grad = switched.gradients[p];
    }
    by_hand.add(share / 3.0F);
  }
  by_hand.finish();
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    CAPTURE(parameters[p].first);
    CHECK(test::same_bits(parameters[p].second->grad, limited.gradients[p]));
  }
}

TEST_CASE("a rate or a probability out of range ends the step before it changes anything") {
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  const auto text_of_step = [&](const train::TrainerOptions& options) {
    train::Trainer trainer(net, test::training_data(), recorder, options);
    return test::error_text<ConfigError>([&] { trainer.step(); });
  };
  train::TrainerOptions options = options_with({});
  options.learning_rate = train::ConstantSchedule{.rate = -0.5F};
  CHECK(text_of_step(options) ==
        "trainer: step 0: expected a learning rate >= 0, the schedule gives -0.5");
  options.learning_rate = train::ConstantSchedule{.rate = std::numeric_limits<float>::quiet_NaN()};
  CHECK(text_of_step(options) ==
        "trainer: step 0: expected a learning rate >= 0, the schedule gives nan");
  CHECK(recorder.rates.empty());
  CHECK_THROWS_WITH_AS(static_cast<void>(train::BlockSwap::coquant(0)),
                       "coquant: expected steps >= 1, got 0", ConfigError);
}

TEST_CASE("a step that failed leaves nothing behind") {
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  train::TrainerOptions options = options_with({});
  options.gradient_share = 0.03F;
  bool fails = false;
  options.plans_of_step = [&](std::int64_t) {
    std::vector<PrecisionPlan> plans = test::training_plans();
    if (fails) plans.push_back(Precision{5, 5});  // there is no such switch
    return plans;
  };
  train::Trainer trainer(net, test::training_data(), recorder, options);
  trainer.step();
  const auto first = recorder.gradients;
  fails = true;
  trainer.set_position(0);
  CHECK_THROWS_AS(trainer.step(), Error);
  fails = false;
  trainer.step();
  CHECK(all_same(recorder.gradients, first));
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
  train::TrainerOptions options = options_with({.switch_weights = {1e30F, 1.0F, 1.0F}});
  options.learning_rate = train::ConstantSchedule{.rate = 1e30F};
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
  CHECK(text({.plans = test::training_plans(), .batch_size = 8, .gradient_share = -0.5F}) ==
        "trainer: expected gradient_share >= 0 and finite (0: no limit), got -0.5");
  CHECK_FALSE(text({.plans = test::training_plans(), .batch_size = 71}).empty());
  CHECK(text({.plans = test::training_plans(),
              .batch_size = 8,
              .block_swap = {.probability = train::ConstantSchedule{.rate = 0.5F}}}) ==
        "trainer: block_swap: the network has no parts with parallel paths; say in "
        "block_swap.blocks which layers are swapped together");
  CHECK(text({.plans = test::training_plans(), .batch_size = 8, .teaching = {.weight = -1.0F}}) ==
        "teaching: expected weights >= 0, got weight -1, label_weight 1");
}

TEST_CASE("a batch of damaged images alone gives way to the next one where damage is skipped") {
  const test::DamagedSource images;  // images 4, 14, 24, ...
  nn::Sequential net = test::training_network();
  Recorder recorder(nn::parameters(net));
  train::TrainerOptions options{.plans = {Precision{4, 4}}, .batch_size = 1, .skip_damaged = true};
  train::Trainer trainer(net, images, recorder, options);
  std::int64_t shown = 0, damaged = 0;
  while (!trainer.done()) {
    const train::StepReport report = trainer.step();
    shown += report.images;
    damaged += std::ssize(report.damaged);
  }
  CHECK(trainer.position() == 70);
  CHECK(shown == 70);
  CHECK(damaged == 7);
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
