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
          .threads = 2,
          .plans = {{.plan = "w8a8", .median = 0.1, .p95 = 0.3, .energy = 1.0 / 3.0, .memory = 7},
                    {.plan = "w4a4,w2a2", .median = 1e-9, .p95 = 2e-9, .memory = 1}}};
}

TEST_CASE("what is written is read") {
  const auto read = parse_calibration(calibration_text(example()));
  REQUIRE_MESSAGE(read.ok(), read.error());
  CHECK(*read == example());
}

TEST_CASE("a damaged calibration names the line") {
  CHECK(parse_calibration("").error() == "calibration: no plan in it");
  CHECK(parse_calibration("hello\n").error() ==
        "calibration: line 1: expected bitdial calibration 1, found \"hello\"");
  const std::string head = "bitdial calibration 1\n";
  CHECK(parse_calibration(head + "model x\n").error() ==
        "calibration: line 2: expected model and its checksum, found \"model x\"");
  CHECK(
      parse_calibration(head + "plan w4a4 1 2\n").error() ==
      "calibration: line 2: expected plan NAME MEDIAN P95 MEMORY ENERGY, found \"plan w4a4 1 2\"");
  CHECK(parse_calibration(head + "color red\nplan w4a4 1 2 3 -\n").ok());
  for (const char* const plan :
       {"plan w4a4 1 2 3 - 4\n", "plan w4a4 1 2 3\n", "plan w4a4 1 2 3 -1x\n",
        "plan w4a4 1 2 -3 4\n", "plan w4a4  1 2 3 4\n", "plan\n"}) {
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
  CHECK(measured->threads == 1);
  CHECK(measured->model == model->checksum());
  CHECK(measured->device.ends_with(std::string{", "} + session->kernels().name));
  REQUIRE(measured->plans.size() == 2);
  for (const PlanCost& cost : measured->plans) {
    CHECK(cost.median > 0.0);
    CHECK(cost.p95 >= cost.median);
    CHECK(cost.energy.value_or(0.0) > 0.0);
  }
  CHECK(measured->plans[0].memory == static_cast<std::uint64_t>(model->packed_bytes(0)));
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
  Calibration partial = *first;
  partial.plans.pop_back();
  for (const std::string& text : {std::string{"garbage"}, calibration_text(partial)}) {
    REQUIRE(io::write_file(path, std::as_bytes(std::span{text})).ok());
    CHECK(calibrate_cached(path, *session, quick)->plans.size() == 2);
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
        "plan \"w8a8\" is not in this model; it has w4a4, w1a1");
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
