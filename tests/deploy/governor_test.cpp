// SPDX-License-Identifier: Apache-2.0
// The ladder and the governor on simulated traces with a clock of our own.
#include <bitdial/deploy/governor.hpp>
#include <bitdial/deploy/governor_trace.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <bitdial/core/random.hpp>

namespace {

using namespace bitdial;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

// w3a3 is slower and less accurate than w8a8, as it is where 8-bit products have an instruction.
std::vector<OperatingPoint> points() {
  return {{.plan = 0,
           .name = "w8a8",
           .accuracy = 0.90,
           .latency = 0.010,
           .energy = 0.20,
           .memory = 800},
          {.plan = 1,
           .name = "w4a4",
           .accuracy = 0.88,
           .latency = 0.007,
           .energy = 0.12,
           .memory = 400},
          {.plan = 2,
           .name = "w3a3",
           .accuracy = 0.87,
           .latency = 0.011,
           .energy = 0.21,
           .memory = 850},
          {.plan = 3,
           .name = "w2a2",
           .accuracy = 0.84,
           .latency = 0.005,
           .energy = 0.08,
           .memory = 200},
          {.plan = 4,
           .name = "w1a1",
           .accuracy = 0.70,
           .latency = 0.002,
           .energy = 0.03,
           .memory = 100}};
}

Ladder ladder() {
  auto made = Ladder::create(points());
  REQUIRE_MESSAGE(made.ok(), made.error());
  return *made;
}

Governor governor(const GovernorOptions& options) {
  auto made = Governor::create(ladder(), options);
  REQUIRE_MESSAGE(made.ok(), made.error());
  return *made;
}

std::string creation_error(const GovernorOptions& options) {
  return Governor::create(ladder(), options).error();
}

std::string name_of(const Governor& g, const Decision& decision) {
  const OperatingPoint* const point = g.ladder().find(decision.plan);
  REQUIRE(point != nullptr);
  return point->name;
}

TEST_CASE("a ladder keeps what is worth using, least accurate first") {
  const Ladder l = ladder();
  std::vector<std::string> names;
  for (const OperatingPoint& rung : l.rungs()) names.push_back(rung.name);
  CHECK(names == std::vector<std::string>{"w1a1", "w2a2", "w4a4", "w8a8"});
  REQUIRE(l.dominated().size() == 1);
  CHECK(l.dominated().front().name == "w3a3");
  CHECK(l.find("w3a3")->plan == 2);
  CHECK(l.find(std::size_t{4})->name == "w1a1");
  CHECK(l.find("w9a9") == nullptr);
}

TEST_CASE("of two equal points both stay, and energy decides only where both know it") {
  auto all = points();
  all.push_back({.plan = 5,
                 .name = "twin",
                 .accuracy = 0.90,
                 .latency = 0.010,
                 .energy = 0.20,
                 .memory = 800});
  CHECK(Ladder::create(all)->rungs().size() == 5);
  OperatingPoint a = all[0], b = all[0];
  b.energy.reset();
  CHECK_FALSE(dominates(a, b));
  b.latency = 0.011;
  CHECK(dominates(a, b));
  b.energy = 0.1;
  CHECK_FALSE(dominates(a, b));
}

TEST_CASE("a ladder refuses points that cannot be true") {
  const auto error = [](auto change) {
    auto all = points();
    change(all);
    return Ladder::create(all).error();
  };
  CHECK(error([](auto& all) { all.clear(); }) ==
        "ladder: expected at least one operating point, got none");
  CHECK(error([](auto& all) { all[1].accuracy = 88.0; }) ==
        "ladder: plan w4a4: accuracy 88, expected a share from 0 to 1");
  CHECK(error([](auto& all) { all[1].accuracy = nan; }) ==
        "ladder: plan w4a4: accuracy nan, expected a share from 0 to 1");
  CHECK(error([](auto& all) { all[0].latency = 0.0; }) ==
        "ladder: plan w8a8: latency 0 s, expected a number above 0");
  CHECK(error([](auto& all) { all[0].energy = -1.0; }) ==
        "ladder: plan w8a8: energy -1 J, expected a number above 0, or none");
  CHECK(error([](auto& all) { all[2].plan = 0; }) == "ladder: plan w3a3 (number 0) occurs twice");
}

TEST_CASE("without limits the most accurate plan runs") {
  const Governor g = governor({});
  GovernorState state;
  const Decision decision = g.decide(state, {});
  CHECK(name_of(g, decision) == "w8a8");
  CHECK(decision.reason == Reason::best);
  CHECK_FALSE(decision.switched);
  CHECK(decision.predicted_latency == 0.010);
}

TEST_CASE("every limit excludes what breaks it and says so") {
  struct Case {
    GovernorOptions options;
    Signals signals;
    const char* plan;
    Reason reason;
  };
  const std::vector<Case> cases{
      {{.deadline = 0.008}, {}, "w4a4", Reason::deadline},
      {{.deadline = 0.010}, {}, "w8a8", Reason::best},
      {{.deadline = 0.010}, {.queue_depth = 1}, "w2a2", Reason::deadline},
      {{.energy_budget = 0.1}, {}, "w2a2", Reason::energy},
      {{.power_budget = 2.0}, {.request_rate = 10.0}, "w8a8", Reason::best},
      {{.power_budget = 2.0}, {.request_rate = 20.0}, "w2a2", Reason::power},
      {{}, {.memory_available = 300.0}, "w2a2", Reason::memory},
      {{.memory_cap = 400}, {}, "w4a4", Reason::best},
      {{.thermal = SensorLimit{10.0}}, {.thermal_headroom = 25.0}, "w8a8", Reason::best},
      {{.thermal = SensorLimit{10.0}}, {.thermal_headroom = 7.0}, "w4a4", Reason::thermal},
      {{.thermal = SensorLimit{10.0}}, {.thermal_headroom = 0.0}, "w1a1", Reason::thermal},
      {{.thermal = SensorLimit{10.0}}, {.thermal_headroom = -5.0}, "w1a1", Reason::thermal},
      {{.battery = SensorLimit{0.3}}, {.battery = 0.2}, "w4a4", Reason::battery},
      {{.deadline = 0.001}, {}, "w1a1", Reason::nothing_fits},
      {{.accuracy_floor = 0.85, .deadline = 0.001}, {}, "w4a4", Reason::nothing_fits},
      {{.accuracy_floor = 0.85}, {.pinned_plan = 4}, "w1a1", Reason::pinned},
      {{}, {.pinned_plan = 2}, "w3a3", Reason::pinned},
      {{.fallback = "w2a2"}, {.pinned_plan = 77}, "w2a2", Reason::unknown_pin},
      {{.thermal = SensorLimit{10.0}, .fallback = "w2a2"}, {}, "w2a2", Reason::sensor_missing},
      {{.thermal = SensorLimit{10.0}}, {.thermal_headroom = nan}, "w1a1", Reason::sensor_missing},
      {{.battery = SensorLimit{0.3}}, {.thermal_headroom = 3.0}, "w1a1", Reason::sensor_missing},
      {{.deadline = 0.010}, {.queue_depth = nan}, "w8a8", Reason::best},
      {{.deadline = 0.010}, {.queue_depth = infinity}, "w8a8", Reason::best},
      {{}, {.memory_available = nan}, "w8a8", Reason::best},
      {{}, {.memory_available = -infinity}, "w8a8", Reason::best},
      // Back to back: 0.20 J in 10 ms are 20 W, 0.03 J in 2 ms are 15 W.
      {{.power_budget = 15.5}, {.request_rate = nan}, "w1a1", Reason::power},
      {{.power_budget = 15.5}, {.request_rate = infinity}, "w1a1", Reason::power},
      {{.battery = SensorLimit{0.3}}, {.battery = infinity}, "w1a1", Reason::sensor_missing},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    const Governor g = governor(cases[i].options);
    GovernorState state;
    const Decision decision = g.decide(state, cases[i].signals);
    CHECK(name_of(g, decision) == cases[i].plan);
    CHECK(reason_text(decision.reason) == reason_text(cases[i].reason));
  }
}

// The quickest plan is also the largest: it computes with tables.
std::vector<OperatingPoint> quick_and_large() {
  return {
      {.plan = 0, .name = "w8a8", .accuracy = 0.9, .latency = 0.010, .energy = 0.2, .memory = 400},
      {.plan = 1, .name = "w4a4", .accuracy = 0.8, .latency = 0.008, .energy = 0.1, .memory = 300},
      {.plan = 2, .name = "w1a1", .accuracy = 0.7, .latency = 0.002, .energy = 0.3, .memory = 900}};
}

TEST_CASE("where nothing fits, memory and energy are kept before the deadline") {
  struct Case {
    GovernorOptions options;
    Signals signals;
    const char* plan;
  };
  const std::vector<Case> cases{
      {{.deadline = 0.001}, {}, "w1a1"},
      {{.deadline = 0.001},
       {.memory_available = 500.0},
       "w4a4"},  // quickest of the two it has room for
      {{.deadline = 0.001, .energy_budget = 0.25}, {}, "w4a4"},
      {{.deadline = 0.001, .power_budget = 4.0}, {.request_rate = 20.0}, "w4a4"},
      {{}, {.memory_available = 10.0}, "w4a4"},  // none has room: the smallest
      {{.energy_budget = 0.05}, {}, "w4a4"},     // none keeps it: the least
      {{.power_budget = 1.0}, {.request_rate = 20.0}, "w4a4"},
      {{.energy_budget = 0.15}, {.memory_available = 350.0}, "w4a4"},
      {{.accuracy_floor = 0.85, .energy_budget = 0.05}, {}, "w8a8"},
      {{.deadline = 0.001}, {.queue_depth = 3.0, .memory_available = 1e9}, "w1a1"},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    const auto g = Governor::create(*Ladder::create(quick_and_large()), cases[i].options);
    REQUIRE_MESSAGE(g.ok(), g.error());
    GovernorState state;
    const Decision decision = g->decide(state, cases[i].signals);
    CHECK(name_of(*g, decision) == cases[i].plan);
  }
  // So does the fallback that nobody named.
  const auto g =
      Governor::create(*Ladder::create(quick_and_large()), {.thermal = SensorLimit{10.0}});
  REQUIRE(g);
  GovernorState state;
  Decision decision = g->decide(state, {});
  CHECK(decision.reason == Reason::sensor_missing);
  CHECK(name_of(*g, decision) == "w1a1");
  decision = g->decide(state, {.memory_available = 500.0});
  CHECK(decision.reason == Reason::sensor_missing);
  CHECK(name_of(*g, decision) == "w4a4");
}

TEST_CASE("wrong options are sentences") {
  CHECK(creation_error({.accuracy_floor = 0.95}) ==
        "governor: no plan reaches the accuracy floor 0.95; the best accuracy is 0.9, the smallest "
        "plan takes 100 bytes");
  CHECK(creation_error({.accuracy_floor = 0.85, .memory_cap = 100}) ==
        "governor: no plan reaches the accuracy floor 0.85 in 100 bytes; the best accuracy is 0.9, "
        "the smallest plan takes 100 bytes");
  CHECK(creation_error({.fallback = "w3a3"}) ==
        "governor: the fallback \"w3a3\" is not a legal rung; there are 'w1a1', 'w2a2', 'w4a4', "
        "'w8a8'");
  CHECK(creation_error({.accuracy_floor = nan}) ==
        "governor: accuracy_floor is nan, expected a share from 0 to 1");
  CHECK(creation_error({.deadline = -1.0}) ==
        "governor: deadline is -1, expected a number above 0");
  CHECK(creation_error({.thermal = SensorLimit{0.0}}) ==
        "governor: thermal.comfortable is 0, expected a number above 0");
  CHECK(creation_error({.battery = SensorLimit{0.3, 0.0}}) ==
        "governor: battery.stuck_after is 0, expected seconds above 0");
  CHECK(creation_error({.up_margin = -0.1}) ==
        "governor: up_margin is -0.1, expected a share of at least 0");
  CHECK(creation_error({.up_dwell = nan}) ==
        "governor: up_dwell is nan, expected seconds of at least 0");
  CHECK(creation_error({.slowdown_quantile = 0.0}) ==
        "governor: slowdown_quantile is 0, expected a number in (0, 1]");
  auto without = points();
  without[1].energy.reset();
  CHECK(Governor::create(*Ladder::create(without), {.energy_budget = 1.0}).error() ==
        "governor: an energy or power budget needs the energy of every plan, w4a4 has none; "
        "calibrate where energy can be read");
  CHECK(Governor::create(Ladder{}).error() == "governor: the ladder has no rungs");
}

TEST_CASE("down at once, up only with margin and after the dwell") {
  const Governor g = governor({.deadline = 0.010, .up_margin = 0.2, .up_dwell = 1.0});
  GovernorState state;
  const auto at = [&](double now, double queue) {
    return g.decide(state, {.now = now, .queue_depth = queue});
  };
  CHECK(name_of(g, at(0.0, 0.0)) == "w8a8");
  Decision decision = at(0.1, 1.0);
  CHECK(name_of(g, decision) == "w2a2");
  CHECK(decision.switched);
  // w8a8 takes exactly the deadline: it fits, but has no margin; w4a4 has.
  decision = at(0.2, 0.0);
  CHECK(name_of(g, decision) == "w2a2");
  CHECK(decision.reason == Reason::dwell);
  CHECK(at(1.1, 0.0).reason == Reason::dwell);
  decision = at(1.2, 0.0);
  CHECK(name_of(g, decision) == "w4a4");
  CHECK(decision.switched);
  CHECK(decision.reason == Reason::margin);
  CHECK(at(9.0, 0.0).reason == Reason::margin);
  // A moment without margin starts the dwell anew.
  CHECK(name_of(g, at(10.0, 1.0)) == "w2a2");
  CHECK(at(10.5, 0.0).reason == Reason::dwell);
  CHECK(name_of(g, at(11.0, 0.9)) == "w2a2");
  CHECK(at(11.6, 0.0).reason == Reason::dwell);
  CHECK(name_of(g, at(12.6, 0.0)) == "w4a4");
  // A clock that gives no number never lets it rise.
  CHECK(name_of(g, at(13.0, 1.0)) == "w2a2");
  for (const double clock : {nan, infinity, -infinity}) {
    CHECK(at(clock, 0.0).reason == Reason::dwell);
    CHECK_FALSE(state.fits_since.has_value());
  }
  CHECK(at(99.0, 0.0).reason == Reason::dwell);
  // It takes none of the time that has passed away, either.
  CHECK(at(nan, 0.0).reason == Reason::dwell);
  CHECK(state.fits_since == 99.0);
  CHECK(name_of(g, at(100.0, 0.0)) == "w4a4");
}

TEST_CASE("observed slowdowns stretch predictions") {
  const Governor g = governor({.deadline = 0.015, .up_dwell = 0.0});
  GovernorState state;
  CHECK(name_of(g, g.decide(state, {})) == "w8a8");
  // A neighbour takes half of the machine: every request takes twice as long.
  CHECK(name_of(g, g.decide(state, {.now = 0.1, .last_latency = 0.020})) == "w4a4");
  CHECK(g.decide(state, {.now = 0.2, .last_latency = 0.014}).predicted_latency == 0.014);
  // It leaves: after a window of good requests all is as before.
  Decision decision;
  for (int i = 0; i < 40; ++i) {
    const double good = g.ladder().find(*state.plan)->latency;
    decision = g.decide(state, {.now = 0.3 + 0.1 * i, .last_latency = good});
  }
  CHECK(name_of(g, decision) == "w8a8");
  // Numbers that no clock gives are not remembered.
  const std::size_t observed = state.observed;
  for (const double wrong : {nan, -1.0, infinity}) {
    static_cast<void>(g.decide(state, {.now = 9.0, .last_latency = wrong}));
  }
  CHECK(state.observed == observed);
}

TEST_CASE("a stuck sensor falls back until it moves") {
  const Governor g = governor({.thermal = SensorLimit{10.0, 5.0}, .fallback = "w2a2"});
  GovernorState state;
  const auto at = [&](double now, double headroom) {
    return g.decide(state, {.now = now, .thermal_headroom = headroom});
  };
  CHECK(name_of(g, at(0.0, 20.0)) == "w8a8");
  CHECK(name_of(g, at(5.0, 20.0)) == "w8a8");
  const Decision decision = at(5.1, 20.0);
  CHECK(decision.reason == Reason::sensor_stuck);
  CHECK(name_of(g, decision) == "w2a2");
  CHECK(at(5.2, 20.5).reason == Reason::dwell);
  CHECK(name_of(g, at(7.3, 21.0)) == "w8a8");
  // How long a value lasts is counted from the first time that is a number.
  CHECK(name_of(g, at(nan, 22.0)) == "w8a8");
  CHECK(name_of(g, at(20.0, 22.0)) == "w8a8");
  CHECK(name_of(g, at(25.0, 22.0)) == "w8a8");
  CHECK(name_of(g, at(nan, 22.0)) == "w8a8");
  CHECK(name_of(g, at(infinity, 22.0)) == "w8a8");
  CHECK(at(25.1, 22.0).reason == Reason::sensor_stuck);
}

// A product under load: deadlines, spikes, a warming case. Time is simulated, the machine is twice
// as slow during spikes, and each decision is recorded.
struct Simulation {
  std::string trace{trace_header};
  std::vector<Decision> decisions;
  int misses = 0;
  int switches = 0;
  double seconds = 0.0;
};

Simulation simulate(const Governor& g, double deadline) {
  Simulation result;
  GovernorState state;
  Random random{7, 0};
  double now = 0.0, heat = 0.0;
  std::optional<double> last;
  for (int i = 0; i < 20000; ++i) {
    const bool spike = (i / 700) % 3 == 1;
    const double noise = 0.97 + 0.06 * double{random.uniform()};
    const double machine = (spike ? 2.0 : 1.0) * noise;
    Signals signals{.now = now, .last_latency = last, .thermal_headroom = 20.0 - heat};
    if (i % 997 == 0) signals.thermal_headroom.reset();
    const Decision decision = g.decide(state, signals);
    result.trace += trace_line(g, signals, decision);
    result.decisions.push_back(decision);
    result.switches += decision.switched ? 1 : 0;
    const OperatingPoint& point = *g.ladder().find(decision.plan);
    const double latency = point.latency * machine;
    result.misses += latency > deadline ? 1 : 0;
    heat = std::max(0.0, heat + 4.0 * point.energy.value_or(0.0) - 0.5);
    last = latency;
    now += 0.02;
  }
  result.seconds = now;
  return result;
}

TEST_CASE("load spikes: fewer misses than the fixed plan, few switches, the same on replay") {
  const double deadline = 0.012;
  const Governor g =
      governor({.deadline = deadline, .thermal = SensorLimit{10.0}, .up_dwell = 2.0});
  const Simulation governed = simulate(g, deadline);

  auto top = points();
  const Governor fixed = *Governor::create(*Ladder::create({top[0]}));
  const Simulation baseline = simulate(fixed, deadline);
  CHECK(baseline.misses > 6000);
  CHECK(governed.misses <= baseline.misses);
  CHECK(governed.misses < 100);
  // One up and one down per dwell, and two for each of the 21 missing readings.
  CHECK(governed.switches <= 2.0 * governed.seconds / 2.0 + 2 * 21);

  const auto rows = parse_trace(governed.trace);
  REQUIRE_MESSAGE(rows.ok(), rows.error());
  REQUIRE(rows->size() == 20000);
  const Replay again = replay(g, *rows);
  CHECK(again.differences.empty());
  CHECK(again.decisions == governed.decisions);
  const Governor other = governor({.deadline = 0.006, .thermal = SensorLimit{10.0}});
  CHECK_FALSE(replay(other, *rows).differences.empty());
}

TEST_CASE("at a noisy boundary the number of switches is bounded by the dwell") {
  const Governor g = governor({.deadline = 0.010, .up_margin = 0.0, .up_dwell = 1.0});
  GovernorState state;
  Random random{3, 0};
  int switches = 0;
  for (int i = 0; i < 60000; ++i) {  // 60 seconds
    const double queue = random.uniform() < 0.001 ? 0.5 : 0.0;
    switches += g.decide(state, {.now = 0.001 * i, .queue_depth = queue}).switched ? 1 : 0;
  }
  CHECK(switches > 2);
  CHECK(switches <= 2 * 60);
}

TEST_CASE("whatever the signals, the plan is legal") {
  const Governor g = governor({.accuracy_floor = 0.8,
                               .deadline = 0.01,
                               .energy_budget = 0.15,
                               .memory_cap = 500,
                               .thermal = SensorLimit{5.0, 3.0},
                               .battery = SensorLimit{0.2}});
  Random random{11, 0};
  GovernorState state;
  const auto number = [&]() -> std::optional<double> {
    const double kind = random.uniform();
    if (kind < 0.1) return std::nullopt;
    if (kind < 0.2) return nan;
    if (kind < 0.25) return infinity;
    if (kind < 0.3) return -infinity;
    return 20.0 * random.uniform() - 5.0;
  };
  for (int i = 0; i < 5000; ++i) {
    Signals signals{.now = number().value_or(0.0),
                    .last_latency = number(),
                    .queue_depth = number().value_or(1.0),
                    .thermal_headroom = number(),
                    .battery = number(),
                    .memory_available = number(),
                    .request_rate = number()};
    const std::string plan = name_of(g, g.decide(state, signals));
    CHECK((plan == "w4a4" || plan == "w2a2"));
  }
}

TEST_CASE("a trace of mixed plans is read back and replayed, whatever the line ends") {
  const auto mixed = Ladder::create(
      {{.plan = 0, .name = "w8a8,w4a5", .accuracy = 0.9, .latency = 0.02, .memory = 1},
       {.plan = 1, .name = "w2a2,w2a2", .accuracy = 0.8, .latency = 0.01, .memory = 1}});
  REQUIRE(mixed);
  const auto g = Governor::create(*mixed, {.deadline = 0.025});
  REQUIRE(g);
  std::string trace{trace_header};
  GovernorState state;
  for (const double queue : {0.0, 1.0, 0.0}) {
    const Signals signals{.now = queue, .queue_depth = queue};
    trace += trace_line(*g, signals, g->decide(state, signals));
  }
  CHECK(trace.find("\"w8a8,w4a5\",best\n") != std::string::npos);
  std::string windows;
  for (const char c : trace) windows += c == '\n' ? std::string{"\r\n"} : std::string{c};
  for (const std::string& text : {trace, windows}) {
    const auto rows = parse_trace(text);
    REQUIRE_MESSAGE(rows.ok(), rows.error());
    REQUIRE(rows->size() == 3);
    CHECK((*rows)[1].plan == "w2a2,w2a2");
    CHECK(replay(*g, *rows).differences.empty());
  }
}

TEST_CASE("a damaged trace names the line and the field") {
  const std::string header{trace_header};
  CHECK(parse_trace("").error().starts_with("trace: line 1: expected the header now,"));
  CHECK(parse_trace(header).value().empty());
  CHECK(parse_trace(header + "1,2,3\n").error() == "trace: line 2: expected 10 fields, found 3");
  CHECK(parse_trace(header + "1,,0,,,,,,w4a4,best\n1,,zero,,,,,,w4a4,best\n").error() ==
        "trace: line 3, field 3: expected a number, found \"zero\"");
  CHECK(parse_trace(header + "1,,0,,,,,-3,w4a4,best\n").error() ==
        "trace: line 2, field 8: expected a number, found \"-3\"");
  CHECK(parse_trace(header + "1,,0,,,,,,\"w8a8,best\n").error() ==
        "trace: line 2: a quote stands inside a field or is not closed, expected fields such as "
        "w4a4 or \"w8a8,w4a4\"");
  const auto rows = parse_trace(header + "1.5,,0,,,,,2,w4a4,best");
  REQUIRE(rows.ok());
  CHECK(rows->front().signals.pinned_plan == std::size_t{2});
  CHECK_FALSE(rows->front().signals.battery.has_value());
}

}  // namespace
