// SPDX-License-Identifier: Apache-2.0
// Sessions against the naive reference, bit for bit: every width pair, level family, weight store,
// kernel table, path, thread count and batch.
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;
using reference::ActivationFamily;
using reference::Expected;
using reference::Network;
using reference::Style;
using reference::WeightFamily;

const std::vector<int> widths{1, 2, 3, 4, 5, 8};

// Every pair of widths for all layers, then plans that change from layer to layer, so that the
// readers of one value want different codes of it.
void add_all_plans(Network& net) {
  net.draw_weights(widths);
  for (const int w : widths) {
    for (const int a : widths) net.add_plan(PrecisionPlan{Precision{w, a}});
  }
  for (std::size_t shift = 0; shift < 3; ++shift) {
    std::vector<Precision> mixed;
    for (std::size_t i = 0; i < net.packed.layers.size(); ++i) {
      mixed.push_back({widths[(i + shift) % 6], widths[(5 * i + 2 * shift) % 6]});
    }
    net.add_plan(*PrecisionPlan::per_layer(mixed));
  }
}

Model model_of(const std::vector<std::byte>& bytes) {
  auto model = Model::from_bytes(bytes);
  REQUIRE_MESSAGE(model.ok(), model.error());
  return *model;
}

std::vector<std::byte> bytes_of(const Network& net) {
  auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  return *bytes;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Runs `plan` and compares the codes of every layer and the outputs.
void check_run(Session& session, std::size_t plan, const std::vector<std::uint8_t>& images,
               const Expected& expected) {
  std::vector<float> outputs(expected.outputs.size());
  bool codes_equal = true;
  std::map<int, std::size_t> codes_seen;
  const auto done = session.run(images, outputs, plan, [&](const LayerTrace& trace) {
    const auto& codes = expected.codes.at(trace.layer);
    const std::int64_t first = trace.first_image * trace.shape.size();
    codes_equal = codes_equal && std::equal(trace.codes.begin(), trace.codes.end(),
                                            codes.begin() + static_cast<std::ptrdiff_t>(first));
    codes_seen[trace.layer] += trace.codes.size();
  });
  CAPTURE(session.model().plans()[plan].name());
  CAPTURE(std::string{session.kernels().name});
  REQUIRE_MESSAGE(done.ok(), done.error());
  for (const auto& [layer, codes] : expected.codes) CHECK(codes_seen[layer] == codes.size());
  CHECK(codes_equal);
  CHECK(same_bits(outputs, expected.outputs));
}

// All plans of a network on all tables and paths, then all thread counts and batches.
void check_everywhere(Network net) {
  const std::vector<std::byte> bytes = bytes_of(net);
  const Model model = model_of(bytes);
  const std::vector<std::uint8_t> images = net.draw_images(3);
  const std::vector<std::uint8_t> first(images.begin(),
                                        images.begin() + net.packed.input_shape.size());
  std::vector<Session> sessions;
  const auto add_session = [&](const SessionOptions& options) {
    auto session = Session::create(model, options);
    REQUIRE_MESSAGE(session.ok(), session.error());
    sessions.push_back(*std::move(session));
  };
  for (const kernels::KernelTable* table : kernels::supported_kernels()) {
    for (const KernelPath path : kernel_paths) {
      add_session({.max_batch = 3, .kernels = table, .path = path});
    }
  }
  add_session({.threads = 2, .max_batch = 3, .work_per_thread = 1});
  add_session({.threads = 7, .max_batch = 2, .path = KernelPath::planes, .work_per_thread = 1});
  add_session({.threads = 7, .max_batch = 1, .path = KernelPath::bytes, .work_per_thread = 1});
  add_session({.threads = 5, .max_batch = 3, .path = KernelPath::lookup, .work_per_thread = 1});
  add_session({.threads = 3, .max_batch = 2, .path = KernelPath::winograd, .work_per_thread = 1});
  add_session(
      {.threads = 3, .max_batch = 3, .path = KernelPath::winograd_bytes, .work_per_thread = 1});
  for (std::size_t plan = 0; plan < model.plans().size(); ++plan) {
    const Expected expected = net.evaluate(plan, images);
    const Expected expected_first = net.evaluate(plan, first);
    for (Session& session : sessions) {
      if (session.max_batch() == 3) check_run(session, plan, images, expected);
      check_run(session, plan, first, expected_first);
      std::vector<float> outputs(expected.outputs.size());
      REQUIRE(session.run(images, outputs, plan));  // in slices where the batch is smaller
      CHECK(same_bits(outputs, expected.outputs));
    }
  }
}

void check_all_plans(Network net) {
  add_all_plans(net);
  check_everywhere(std::move(net));
}

TEST_CASE("residual network, DoReFa weights, one-sided activations") {
  check_all_plans(reference::residual_network({.seed = 11}));
}

TEST_CASE("residual network, nested weights, two-sided activations") {
  check_all_plans(reference::residual_network(
      {.weights = WeightFamily::nested, .activations = ActivationFamily::two_sided, .seed = 12}));
}

TEST_CASE("grouped network, DoReFa weights, one-sided activations") {
  check_all_plans(reference::grouped_network({.seed = 21}));
}

TEST_CASE("grouped network, nested weights, two-sided activations") {
  check_all_plans(reference::grouped_network(
      {.weights = WeightFamily::nested, .activations = ActivationFamily::two_sided, .seed = 22}));
}

TEST_CASE("grouped network, DoReFa weights, random activation steps") {
  check_all_plans(
      reference::grouped_network({.activations = ActivationFamily::random_steps, .seed = 23}));
}

TEST_CASE("depthwise layer, ReLU, and a reader with thresholds below zero") {
  check_all_plans(reference::rectified_network(24));
}

TEST_CASE("lines of more pixels in the border of groups than an epilogue takes at once") {
  Network net{{3, 300, 3}, {.activations = ActivationFamily::two_sided, .seed = 25}};
  int x = net.conv(0, 6, ops::Window::square(1));
  x = net.depthwise(x, ops::Window::square(3, {.padding = 1}));
  x = net.add(net.grouped_conv(x, 6, 2, ops::Window::square(3, {.padding = 1})), x);
  static_cast<void>(net.linear(net.global_average_pool(x), 5));
  net.draw_weights({2, 8});
  net.add_plan(PrecisionPlan::uniform("w2a2"));
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  check_everywhere(std::move(net));
}

TEST_CASE("window network, DoReFa weights, two-sided activations") {
  check_all_plans(
      reference::window_network({.activations = ActivationFamily::two_sided, .seed = 13}));
}

TEST_CASE("window network, nested weights, random activation steps") {
  check_all_plans(reference::window_network({.weights = WeightFamily::nested,
                                             .activations = ActivationFamily::random_steps,
                                             .seed = 14}));
}

TEST_CASE("join network, DoReFa weights, random activation steps") {
  check_all_plans(
      reference::join_network({.activations = ActivationFamily::random_steps, .seed = 15}));
}

TEST_CASE("join network, nested weights, one-sided activations") {
  check_all_plans(reference::join_network({.weights = WeightFamily::nested, .seed = 16}));
}

TEST_CASE("concat network, nested weights, two-sided activations") {
  check_all_plans(reference::concat_network(
      {.weights = WeightFamily::nested, .activations = ActivationFamily::two_sided, .seed = 32}));
}

TEST_CASE("wide network") {
  Network net = reference::wide_network({.activations = ActivationFamily::two_sided, .seed = 17});
  net.draw_weights({2, 8});
  net.add_plan(PrecisionPlan::uniform("w2a2"));
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  check_everywhere(std::move(net));
}

TEST_CASE("3x3 windows of more channels than one sum of Winograd's filtering may have") {
  Network net{{5, 6, 3}, {.activations = ActivationFamily::two_sided, .seed = 36}};
  const int wide = net.conv(0, 230, ops::Window::square(1));
  const int x = net.conv(wide, 33, ops::Window::square(3, {.padding = 1}));
  static_cast<void>(net.conv(x, 17, ops::Window::square(3)));
  net.draw_weights({2, 8});
  net.add_plan(PrecisionPlan::uniform("w2a2"));
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  check_everywhere(std::move(net));
}

TEST_CASE("the same of few bits, whose sums may have more channels") {
  Network net{{4, 5, 3}, {.activations = ActivationFamily::two_sided, .seed = 5}};
  const int wide = net.conv(0, 2049, ops::Window::square(1));
  static_cast<void>(net.conv(wide, 19, ops::Window::square(3, {.padding = 1})));
  net.draw_weights({2});
  net.add_plan(PrecisionPlan::uniform("w2a3"));
  check_everywhere(std::move(net));
}

TEST_CASE("3x3 windows of few bits whose levels are too large for Winograd's filtering in bytes") {
  for (const IntegerLevels& levels : {IntegerLevels{0.1F, 5, -7}, IntegerLevels{0.01F, 100, -150},
                                      IntegerLevels{0.25F, -2, 3}, IntegerLevels{0.1F, 1, 100}}) {
    Network net{{7, 6, 3}, {.seed = 37}};
    int x = net.relu(net.conv(0, 17, ops::Window::square(1)));
    x = net.relu(net.conv(x, 48, ops::Window::square(3, {.padding = 1})));
    static_cast<void>(net.conv(x, 5, ops::Window::square(3)));
    net.draw_weights({1, 2});
    for (const int w : {1, 2}) {
      for (const int a : {1, 2, 3}) net.add_plan(PrecisionPlan{Precision{w, a}});
    }
    for (PackedPlan& plan : net.packed.plans) {
      for (LayerState& state : plan.layers) state.weight_levels = levels;
    }
    check_everywhere(std::move(net));
  }
}

TEST_CASE("windows that lie in the border alone, one line of them for a thread") {
  for (const int padding : {1, 2}) {
    Network net{{9, 10, 3}, {.seed = 33}};
    int x = net.relu(net.conv(0, 64, ops::Window::square(1)));
    x = net.relu(net.conv(x, 64, ops::Window::square(3)));
    x = net.relu(net.conv(x, 64, ops::Window::square(3)));
    x = net.relu(net.conv(x, 64, ops::Window::square(1, {.padding = padding})));
    static_cast<void>(net.linear(net.global_average_pool(x), 10));
    net.draw_weights({1, 2});
    net.add_plan(PrecisionPlan::uniform("w1a1"));
    net.add_plan(PrecisionPlan::uniform("w2a2"));
    check_everywhere(std::move(net));
  }
}

TEST_CASE("convolutions with pools behind them: all windows of pools, lines of all threads") {
  for (const ops::NodeKind kind : {ops::NodeKind::max_pool2d, ops::NodeKind::average_pool2d}) {
    Network net{{21, 9, 3}, {.seed = 34}};
    int x = net.relu(net.conv(0, 16, ops::Window::square(3, {.padding = 1})));
    x = net.pool(kind, x, ops::Window::square(3, {.stride = 2, .padding = 1}));
    x = net.conv(x, 16, ops::Window::square(3, {.padding = 2}));
    x = net.pool(kind, x, {.kernel_h = 3, .kernel_w = 2, .padding_h = 2, .dilation_h = 2});
    const int sum = net.add(net.conv(x, 16, ops::Window::square(3, {.padding = 1})), x);
    x = net.pool(kind, net.relu(sum), {.kernel_h = 2, .kernel_w = 2, .stride_h = 4, .stride_w = 3});
    static_cast<void>(net.linear(x, 5));
    net.draw_weights({1, 2, 8});
    for (const char* const plan : {"w1a1", "w2a2", "w8a8"}) {
      net.add_plan(PrecisionPlan::parse(plan).value());
    }
    check_everywhere(std::move(net));
  }
}

// Lines of 48 kilobytes and a pool of `kernel` lines behind them.
void check_long_lines(std::int64_t h, std::int64_t kernel, std::int64_t stride) {
  Network net{{h, 192, 3}, {.seed = 35}};
  int x = net.relu(net.conv(0, 64, ops::Window::square(3, {.padding = 1})));
  x = net.pool(
      ops::NodeKind::max_pool2d, x,
      {.kernel_h = kernel, .kernel_w = 3, .stride_h = stride, .stride_w = 16, .padding_h = 1});
  static_cast<void>(net.linear(x, 5));
  net.draw_weights({1, 8});
  net.add_plan(PrecisionPlan::uniform("w1a1"));
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  const std::vector<std::byte> bytes = bytes_of(net);
  const Model model = model_of(bytes);
  const std::vector<std::uint8_t> images = net.draw_images(2);
  for (std::size_t plan = 0; plan < model.plans().size(); ++plan) {
    const Expected expected = net.evaluate(plan, images);
    for (const KernelPath path : kernel_paths) {
      for (const int threads : {1, 3}) {
        auto session = Session::create(
            model, {.threads = threads, .max_batch = 2, .path = path, .work_per_thread = 1});
        REQUIRE_MESSAGE(session.ok(), session.error());
        check_run(*session, plan, images, expected);
      }
    }
  }
}

TEST_CASE("a convolution whose lines do not all stay in memory until its pool reads them") {
  check_long_lines(30, 3, 2);  // eleven lines at a time
}

TEST_CASE("a pool that steps over more lines of a convolution than stay in memory") {
  check_long_lines(46, 2, 13);
}

TEST_CASE("two widths with the same levels keep their own weights") {
  Network net = reference::join_network({.seed = 18});
  net.draw_weights({2, 3});
  net.add_plan(PrecisionPlan::uniform("w2a3"));
  net.add_plan(PrecisionPlan::uniform("w3a3"));
  for (PackedPlan& plan : net.packed.plans) {
    for (LayerState& state : plan.layers) state.weight_levels = {1.0F, 1, -1};
  }
  check_everywhere(std::move(net));
}

TEST_CASE("values that are larger than any integer") {
  for (const float factor : {1e5F, 1e30F}) {
    Network net = reference::grouped_network({.seed = 24});
    net.draw_weights({8});
    net.add_plan(PrecisionPlan::uniform("w8a8"));
    for (LayerState& state : net.packed.plans[0].layers) {
      for (std::size_t c = 0; c < state.bias.size(); c += 2) {
        state.multiplier[c] *= factor;
        state.bias[c / 2] = c % 4 == 0 ? 1e35F : -1e35F;
      }
    }
    check_everywhere(std::move(net));
  }
}

TEST_CASE("real-valued images: infinities, zeros of both signs, NaN") {
  Network net{{4, 4, 2}, {.activations = ActivationFamily::random_steps, .seed = 19}};
  const int pooled = net.pool(ops::NodeKind::max_pool2d, 0, ops::Window::square(2));
  static_cast<void>(net.conv(pooled, 3, ops::Window::square(2, {.padding = 1})));
  net.draw_weights({4});
  net.add_plan(PrecisionPlan::uniform("w4a4"));
  const std::vector<std::byte> bytes = bytes_of(net);
  auto session = Session::create(model_of(bytes), {.max_batch = 2});
  REQUIRE_MESSAGE(session.ok(), session.error());
  const float inf = std::numeric_limits<float>::infinity();
  const float special[] = {0.0F, -0.0F, inf, -inf, std::nanf(""), 0.3F, -0.2F, 3e38F, 1e-40F};
  std::vector<float> images(static_cast<std::size_t>(2 * 32));
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = special[(i * 7 + i / 9) % 9];
  const Expected expected = net.evaluate(0, images);
  std::vector<float> outputs(expected.outputs.size());
  bool codes_equal = false;
  const auto done = session->run_real(images, outputs, 0, [&](const LayerTrace& trace) {
    const auto& codes = expected.codes.at(trace.layer);
    codes_equal = std::equal(trace.codes.begin(), trace.codes.end(), codes.begin(), codes.end());
    CHECK(trace.shape == ImageShape{3, 3, 2});
  });
  REQUIRE_MESSAGE(done.ok(), done.error());
  CHECK(codes_equal);
  CHECK(same_bits(outputs, expected.outputs));
}

// The caller's threads: one for each task.
void run_on_threads(void* calls, int count, ParallelHook::Task task, void* data) {
  ++*static_cast<std::atomic<int>*>(calls);
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(task, data, i);
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("the caller's threads give the same bits; one thread starts none") {
  Network net = reference::residual_network(
      {.weights = WeightFamily::nested, .activations = ActivationFamily::two_sided, .seed = 24});
  net.draw_weights({1, 4, 8});
  for (const Precision precision : {Precision{8, 8}, {4, 4}, {1, 1}}) {
    net.add_plan(PrecisionPlan{precision});
  }
  const std::vector<std::byte> bytes = bytes_of(net);
  const Model model = model_of(bytes);
  const std::vector<std::uint8_t> images = net.draw_images(9);
  for (const KernelPath path : kernel_paths) {
    for (const int threads : {1, 2, 7}) {
      for (const std::int64_t batch : {1, 3}) {
        std::atomic<int> calls{0};
        auto session =
            Session::create(model, {.threads = threads,
                                    .max_batch = batch,
                                    .path = path,
                                    .work_per_thread = 1,
                                    .parallel_for = {.run = run_on_threads, .context = &calls}});
        REQUIRE_MESSAGE(session.ok(), session.error());
        for (std::size_t plan = 0; plan < 3; ++plan) {
          check_run(*session, plan, images, net.evaluate(plan, images));
          std::vector<float> outputs(90);
          REQUIRE(session->run(images, outputs, plan));
          CHECK(same_bits(outputs, net.evaluate(plan, images).outputs));
        }
        CHECK((calls > 0) == (threads > 1));
      }
    }
  }
}

TEST_CASE("a thread that no work pays for is not asked for") {
  Network net = reference::residual_network({.seed = 25});
  net.draw_weights({8});
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  const std::vector<std::byte> bytes = bytes_of(net);
  const std::vector<std::uint8_t> images = net.draw_images(6);
  std::vector<float> outputs(60);
  for (const std::int64_t work :
       {std::int64_t{1} << 62, std::numeric_limits<std::int64_t>::max()}) {
    std::atomic<int> calls{0};
    auto session = Session::create(model_of(bytes),
                                   {.threads = 3,
                                    .work_per_thread = work,
                                    .parallel_for = {.run = run_on_threads, .context = &calls}});
    REQUIRE_MESSAGE(session.ok(), session.error());
    REQUIRE(session->run(images, outputs, 0));
    CHECK(same_bits(outputs, net.evaluate(0, images).outputs));
    CHECK(calls == 0);
    auto without_hook = Session::create(model_of(bytes), {.threads = 3, .work_per_thread = work});
    REQUIRE_MESSAGE(without_hook.ok(), without_hook.error());
    REQUIRE(without_hook->run(images, outputs, 0));
    CHECK(same_bits(outputs, net.evaluate(0, images).outputs));
  }
}

TEST_CASE("steps that pay for one, two and more threads follow each other in one team") {
  for (const bool grouped : {false, true}) {
    Network net = grouped ? reference::grouped_network({.seed = 26})
                          : reference::residual_network({.seed = 26});
    net.draw_weights({1, 4, 8});
    for (const Precision precision : {Precision{8, 8}, {4, 4}, {1, 1}}) {
      net.add_plan(PrecisionPlan{precision});
    }
    const std::vector<std::byte> bytes = bytes_of(net);
    const Model model = model_of(bytes);
    const std::vector<std::uint8_t> images = net.draw_images(5);
    for (const KernelPath path : kernel_paths) {
      for (const int threads : {2, 3, 7}) {
        for (const std::int64_t work : {1, 100, 1000, 5000}) {
          auto session = Session::create(
              model, {.threads = threads, .max_batch = 2, .path = path, .work_per_thread = work});
          REQUIRE_MESSAGE(session.ok(), session.error());
          for (std::size_t plan = 0; plan < 3; ++plan) {
            const std::vector<float> expected = net.evaluate(plan, images).outputs;
            std::vector<float> outputs(expected.size());
            REQUIRE(session->run(images, outputs, plan));
            CAPTURE(threads);
            CAPTURE(work);
            CHECK(same_bits(outputs, expected));
          }
        }
      }
    }
  }
}

TEST_CASE("plans by index, name and value; classes; what a session refuses") {
  Network net = reference::residual_network({.seed = 20});
  net.draw_weights({2, 4});
  net.add_plan(PrecisionPlan::uniform("w4a4"));
  net.add_plan(PrecisionPlan::uniform("w2a4"));
  const std::vector<std::byte> bytes = bytes_of(net);
  const Model model = model_of(bytes);
  auto session = Session::create(model, {.max_batch = 2});
  REQUIRE_MESSAGE(session.ok(), session.error());
  const std::vector<std::uint8_t> images = net.draw_images(5);
  const std::vector<float> expected = net.evaluate(1, images).outputs;
  std::vector<float> outputs(50);
  REQUIRE(session->run(images, outputs, "w2a4"));
  CHECK(same_bits(outputs, expected));
  std::ranges::fill(outputs, 0.0F);
  REQUIRE(session->run(images, outputs, PrecisionPlan::uniform("w2a4")));
  CHECK(same_bits(outputs, expected));
  std::vector<std::int32_t> classes(5);
  REQUIRE(session->classify(images, classes, 1));
  for (std::size_t n = 0; n < 5; ++n) {
    const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(10 * n);
    CHECK(classes[n] == std::max_element(begin, begin + 10) - begin);
  }
  REQUIRE(session->run({}, {}, 0));

  CHECK(session->run(images, outputs, "w8a8").error() ==
        "plan \"w8a8\" is not in this model; it has 'w4a4', 'w2a4'");
  CHECK(session->run(images, outputs, 2).error() ==
        "session: plan 2 is not in this model, expected 0 to 1");
  std::vector<float> few(49);
  CHECK(session->run(images, few, 0).error() ==
        "session: 525 input values and 49 output values; one image takes 105, [5, 7, 3], and gives "
        "10");
  const std::vector<std::uint8_t> partial(106);
  CHECK_FALSE(session->run(partial, outputs, 0));
  classes.resize(4);
  CHECK(session->classify(images, classes, 0).error() ==
        "session: 525 input bytes for 4 classes, one image has 105, [5, 7, 3]");

  auto one_plan = Session::create(model, {.plans = {1}});
  REQUIRE(one_plan);
  CHECK(session->prepared_plans() == std::vector<std::size_t>{0, 1});
  CHECK(one_plan->prepared_plans() == std::vector<std::size_t>{1});
  CHECK(one_plan->run(images, outputs, 1));
  CHECK(one_plan->path_of(1, 0).has_value());
  CHECK_FALSE(one_plan->path_of(0, 0).has_value());
  CHECK(one_plan->run(images, outputs, 0).error() ==
        "session: plan w4a4 was not among the plans that this session was created for, w2a4; name "
        "it in SessionOptions::plans");
  CHECK(Session::create(model, {.threads = 0}).error() == "session: 0 threads, expected 1 to 1024");
  CHECK(Session::create(model, {.path = static_cast<KernelPath>(99)}).error() ==
        "session: path 99 is not a KernelPath, expected one of its names");
  CHECK(Session::create(model, {.work_per_thread = -1}).error() ==
        "session: work_per_thread is -1, expected at least 0");
  CHECK(Session::create(model, {.max_batch = 0}).error() ==
        "session: batches of 0 images, expected 1 to 65536");
  CHECK(Session::create(model, {.plans = {2}}).error() ==
        "session: plan 2 is not in this model, expected 0 to 1");
  CHECK(Session::plan_memory(model, {.threads = 0}).error() ==
        "session: 0 threads, expected 1 to 1024");
  CHECK(Session::plan_memory(model, {.plans = {2}}).error() ==
        "session: plan 2 is not in this model, expected 0 to 1");
}

}  // namespace
