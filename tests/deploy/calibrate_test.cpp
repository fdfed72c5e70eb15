// SPDX-License-Identifier: Apache-2.0
// Calibrations: measured, written, read, reused, and turned into a ladder.
#include <bitdial/deploy/calibrate.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;

std::vector<std::byte> model_with(double accuracy) {
  reference::Network net{{6, 6, 3}, {.seed = 9}};
  const int conv = net.conv(0, 8, ops::Window::square(3, {.padding = 1}));
  static_cast<void>(net.linear(net.global_average_pool(net.relu(conv)), 4));
  net.draw_weights({1, 4});
  net.add_plan(PrecisionPlan::uniform("w4a4"));
  net.add_plan(PrecisionPlan::uniform("w1a1"));
  for (PackedPlan& plan : net.packed.plans) {
    plan.accuracy = MeasuredAccuracy{.top1 = accuracy, .samples = 10, .data_set = "toys"};
    accuracy /= 2;
  }
  auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  return *bytes;
}

// A kernel's energy counter that rises while the object lives.
class CounterFile {
 public:
  CounterFile()
      : folder_{std::filesystem::temp_directory_path() /
                ("bitdial-powercap-" + std::to_string(::getpid()))} {
    std::filesystem::create_directories(folder_ / "class/powercap/intel-rapl:0");
    std::ofstream{folder_ / "class/powercap/intel-rapl:0/name"} << "package-0\n";
    write(0);
    writer_ = std::thread{[this] {
      for (int microjoules = 1; running_; ++microjoules) {
        write(1000 * microjoules);
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
      }
    }};
  }
  CounterFile(const CounterFile&) = delete;
  CounterFile& operator=(const CounterFile&) = delete;
  ~CounterFile() { remove(); }

  [[nodiscard]] std::string sys() const { return folder_.string(); }
  void remove() {
    running_ = false;
    if (writer_.joinable()) writer_.join();
    std::filesystem::remove_all(folder_);
  }

 private:
  void write(int microjoules) const {
    const auto zone = folder_ / "class/powercap/intel-rapl:0";
    std::ofstream{zone / "next"} << microjoules;
    std::filesystem::rename(zone / "next", zone / "energy_uj");
  }

  std::filesystem::path folder_;
  std::atomic<bool> running_{true};
  std::thread writer_;
};

Calibration example() {
  return {.device = "Toy CPU, scalar",
          .model = 0xfedcba9876543210U,
          .session = "threads 2, max_batch 1, path bytes, work_per_thread 9, own threads",
          .plans = {{.plan = "w8a8", .median = 0.1, .energy = 1.0 / 3.0, .memory = 7},
                    {.plan = "w4a4,w2a2", .median = 1e-9, .memory = 1}}};
}

TEST_CASE("what is written is read") {
  const auto read = parse_calibration(calibration_text(example()));
  REQUIRE_MESSAGE(read.ok(), read.error());
  CHECK(*read == example());
}

TEST_CASE("a damaged calibration names the line") {
  CHECK(parse_calibration("").error() == "calibration: no plan in it");
  CHECK(parse_calibration("hello\n").error() ==
        "calibration: line 1: expected bitdial calibration 2, found \"hello\"");
  // The first format had a quantile where this one has the memory.
  CHECK_FALSE(parse_calibration("bitdial calibration 1\nplan w4a4 1 2 3 -\n").ok());
  const std::string head = "bitdial calibration 2\n";
  CHECK(parse_calibration(head + "model x\n").error() ==
        "calibration: line 2: expected model and its checksum, found \"model x\"");
  CHECK(parse_calibration(head + "plan w4a4 1 2\n").error() ==
        "calibration: line 2: expected plan NAME MEDIAN MEMORY ENERGY, finite numbers above 0 or - "
        "for no energy, found \"plan w4a4 1 2\"");
  CHECK(parse_calibration(head + "color red\nplan w4a4 1 2 -\n").ok());
  CHECK(parse_calibration(head + "plan w4a4 1 2 -\nplan w2a2 1 2 -\nplan w4a4 1 2 -\n").error() ==
        "calibration: line 4: expected each plan once, found \"plan w4a4 1 2 -\"");
  for (const char* const plan :
       {"plan w4a4 1 2 - 4\n", "plan w4a4 1 2\n", "plan w4a4 1 2 -1x\n", "plan w4a4 1 -2 3\n",
        "plan w4a4  1 2 3\n", "plan\n", "plan w4a4 nan 2 -\n", "plan w4a4 inf 2 -\n",
        "plan w4a4 0 2 -\n", "plan w4a4 -1 2 -\n", "plan w4a4 1 0 -\n", "plan w4a4 1 2 nan\n",
        "plan w4a4 1 2 0\n", "plan w4a4 1 2 -1\n", "plan w4a4 1 2 inf\n"}) {
    CAPTURE(plan);
    CHECK_FALSE(parse_calibration(head + plan).ok());
  }
}

TEST_CASE("every plan is measured, and the ladder has the accuracies of the file") {
  const auto bytes = model_with(0.9);
  const auto model = Model::from_bytes(bytes);
  REQUIRE(model.ok());
  auto session = Session::create(*model);
  REQUIRE(session.ok());
  CounterFile counter;
  auto energy = EnergyCounter::open(counter.sys());
  REQUIRE_MESSAGE(energy.ok(), energy.error());
  const auto measured = calibrate(*session, {.seconds = 0.1, .energy = &*energy});
  REQUIRE_MESSAGE(measured.ok(), measured.error());
  CHECK(measured->session == "threads 1, max_batch 1, path automatic, work_per_thread 65536");
  CHECK(measured->model == model->checksum());
  CHECK(measured->device.ends_with(std::string{", "} + session->kernels().name));
  REQUIRE(measured->plans.size() == 2);
  for (const PlanCost& cost : measured->plans) {
    CHECK(cost.median > 0.0);
    CHECK(cost.energy.value_or(0.0) > 0.0);
  }
  for (const std::size_t plan : {std::size_t{0}, std::size_t{1}}) {
    CHECK(measured->plans[plan].memory == Session::plan_memory(*model, plan, 1)->bytes());
  }
  const auto ladder = make_ladder(*model, *measured);
  REQUIRE_MESSAGE(ladder.ok(), ladder.error());
  CHECK(ladder->find("w4a4")->accuracy == 0.9);
  CHECK(ladder->find("w1a1")->accuracy == 0.45);
  CHECK(calibrate(*session, {.seconds = 0.0}).error() ==
        "calibrate: 0 seconds, expected more than 0 and at most 1000000");
  CHECK_FALSE(calibrate(*session, {.seconds = std::numeric_limits<double>::quiet_NaN()}).ok());
  CHECK_FALSE(calibrate(*session, {.seconds = std::numeric_limits<double>::infinity()}).ok());
  counter.remove();
  CHECK(calibrate(*session, {.seconds = 0.01, .energy = &*energy})
            .error()
            .ends_with("cannot read the energy counter"));
}

TEST_CASE("a session of some plans calibrates those") {
  const auto bytes = model_with(0.9);
  const auto model = Model::from_bytes(bytes);
  auto session = Session::create(*model, {.plans = {1}});
  REQUIRE(session.ok());
  const auto measured = calibrate(*session, {.seconds = 0.01});
  REQUIRE(measured.ok());
  REQUIRE(measured->plans.size() == 1);
  CHECK(measured->plans[0].plan == "w1a1");
}

TEST_CASE("the cache serves this device and file only") {
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("bitdial-calibration-" + std::to_string(::getpid())))
                               .string();
  const auto bytes = model_with(0.9), others = model_with(0.8);
  const auto model = Model::from_bytes(bytes), other = Model::from_bytes(others);
  CHECK(model->checksum() != other->checksum());
  auto session = Session::create(*model);
  const CalibrateOptions quick{.seconds = 0.01};
  const auto first = calibrate_cached(path, *session, quick);
  REQUIRE_MESSAGE(first.ok(), first.error());
  const auto again = calibrate_cached(path, *session, quick);
  CHECK(*again == *first);

  auto other_session = Session::create(*other);
  CHECK(calibrate_cached(path, *other_session, quick)->model == other->checksum());
  CHECK(calibrate_cached(path, *session, quick)->model == model->checksum());

  // Without energy it does not serve who can measure it.
  CounterFile counter;
  auto energy = EnergyCounter::open(counter.sys());
  REQUIRE_MESSAGE(energy.ok(), energy.error());
  const auto with_energy = calibrate_cached(path, *session, {.seconds = 0.1, .energy = &*energy});
  REQUIRE_MESSAGE(with_energy.ok(), with_energy.error());
  CHECK(with_energy->plans[0].energy.has_value());
  CHECK(*calibrate_cached(path, *session, quick) == *with_energy);

  // Damaged, or with a plan missing: measured anew.
  const auto store = [&](const std::string& text) {
    REQUIRE(io::write_file(path, std::as_bytes(std::span{text})).ok());
  };
  Calibration partial = *first, broken = *first, twice = *first;
  partial.plans.pop_back();
  broken.plans[1].median = -1.0;
  twice.plans.push_back(twice.plans[0]);
  for (const std::string& text : {std::string{"garbage"}, calibration_text(partial),
                                  calibration_text(broken), calibration_text(twice)}) {
    store(text);
    const auto anew = calibrate_cached(path, *session, quick);
    REQUIRE(anew->plans.size() == 2);
    CHECK(anew->plans[1].median > 0.0);
    CHECK(*parse_calibration(*io::read_text_file(path)) == *anew);
  }

  // A session of fewer plans gets its own; what the model does not have is left out.
  Calibration more = *first;
  more.plans.push_back({.plan = "w3a3", .median = 1.0, .memory = 1});
  store(calibration_text(more));
  CHECK(calibrate_cached(path, *session, quick)->plans == first->plans);
  auto narrow = Session::create(*model, {.plans = {1}});
  REQUIRE(narrow);
  CHECK(calibrate_cached(path, *narrow, quick)->plans == std::vector{first->plans[1]});

  // Options that change times have costs of their own.
  const auto run_here = [](void*, int count, ParallelHook::Task task, void* data) {
    for (int i = 0; i < count; ++i) task(data, i);
  };
  for (const SessionOptions& options : {SessionOptions{.threads = 2},
                                        {.max_batch = 2},
                                        {.path = KernelPath::planes},
                                        {.work_per_thread = 5},
                                        {.parallel_for = {.run = run_here}}}) {
    store(calibration_text(*first));
    auto own = Session::create(*model, options);
    REQUIRE_MESSAGE(own.ok(), own.error());
    const auto costs = calibrate_cached(path, *own, quick);
    REQUIRE_MESSAGE(costs.ok(), costs.error());
    CHECK_FALSE(costs->fits(*first));
  }
  std::filesystem::remove(path);
  CHECK(calibrate_cached("/no-such-folder/file", *session, quick)
            .error()
            .starts_with("/no-such-folder/file: cannot create"));
}

TEST_CASE("a ladder needs accuracies and plans that exist") {
  const auto bytes = model_with(0.9);
  const auto model = Model::from_bytes(bytes);
  CHECK(make_ladder(*model, example()).error() ==
        "plan \"w8a8\" is not in this model; it has 'w4a4', 'w1a1'");
  reference::Network net{{2, 2, 1}, {}};
  static_cast<void>(net.linear(0, 2));
  net.draw_weights({8});
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  const auto plain = model_bytes(net.packed);
  REQUIRE_MESSAGE(plain.ok(), plain.error());
  CHECK(make_ladder(*Model::from_bytes(*plain), example()).error() ==
        "ladder: plan w8a8 has no accuracy in the model file; measure it before packing");
}

}  // namespace
