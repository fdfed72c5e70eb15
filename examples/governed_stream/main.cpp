// SPDX-License-Identifier: Apache-2.0
// Classifies a stream of real frames under a deadline. In its middle third other threads take the
// machine; the governor gives up bits for time, and takes them back afterwards. Then the same
// stream runs at the highest precision only.
//
// usage: governed_stream MODEL [IMAGES [SECONDS]]
//   MODEL   a packed network, such as the quickstart's model.bitdial
//   IMAGES  the folder of Fashion-MNIST (default: where Debian's package puts it; a model of the
//           quickstart's synthetic images sees such images)
//   SECONDS of each of the two streams, default 9
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <bitdial/runtime.hpp>

#include "frames.hpp"
#include "live_table.hpp"
#include "load.hpp"

namespace {

using namespace bitdial;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A camera delivers a frame every `period` seconds, whether the last one is answered or not.
struct Camera {
  std::size_t frames = 0;
  double period = 0.0, deadline = 0.0;
};

void print_ladder(const Ladder& ladder) {
  std::printf("%-8s %9s %10s %9s\n", "plan", "accuracy", "median", "memory");
  for (const auto& rungs : {ladder.rungs(), ladder.dominated()}) {
    for (const OperatingPoint& point : rungs) {
      std::printf("%-8s %8.2f%% %8.3f ms %6.1f KB%s\n", point.name.c_str(), 100 * point.accuracy,
                  1e3 * point.latency, static_cast<double>(point.memory) / 1e3,
                  rungs.data() == ladder.dominated().data() ? "  dominated" : "");
    }
  }
}

// Runs the whole stream; counts each third. An answer that takes too long delays all frames behind
// it; a frame that is older than the deadline when its turn comes is dropped.
std::vector<Count> stream(Session& session, const Governor& governor, const Frames& frames,
                          const Camera& camera, std::optional<std::size_t> pinned,
                          std::string* trace) {
  std::vector<float> outputs(static_cast<std::size_t>(session.model().output_size()));
  Load load{std::max(1U, std::thread::hardware_concurrency())};
  std::vector<Count> counts(3);
  GovernorState state;
  Signals signals{.pinned_plan = pinned};
  LiveTable table{governor.ladder()};
  const auto start = Clock::now();
  for (std::size_t frame = 0; frame < camera.frames; ++frame) {
    const double arrival = static_cast<double>(frame) * camera.period;
    while (seconds_since(start) < arrival) std::this_thread::yield();
    const std::size_t third = frame * 3 / camera.frames;
    load.set(third == 1);

    signals.now = seconds_since(start);
    Count& count = counts[third];
    ++count.frames;
    if (signals.now - arrival > camera.deadline) {
      ++count.late;
      continue;
    }
    signals.queue_depth = std::floor((signals.now - arrival) / camera.period);
    const Decision decision = governor.decide(state, signals);
    if (trace != nullptr) *trace += trace_line(governor, signals, decision);

    const auto index = static_cast<std::int64_t>(frame) % frames.images.size();
    const auto begin = Clock::now();
    session.run(frames.images.image(index), outputs, decision.plan).value();
    signals.last_latency = seconds_since(begin);

    count.right += confidence_of(outputs).label == frames.answers[static_cast<std::size_t>(index)];
    count.late += seconds_since(start) - arrival > camera.deadline;
    if (trace != nullptr) table.add(signals.now, third == 1, signals.queue_depth, decision, count);
  }
  return counts;
}

void print_counts(const char* name, const std::vector<Count>& counts) {
  std::printf("%-10s", name);
  for (const Count& count : counts) {
    std::printf("   %6.2f%% %6.2f%%", percent(count.right, count.frames),
                percent(count.late, count.frames));
  }
  std::printf("\n");
}

int run(int argc, char** argv) {
  const double seconds = argc > 3 ? std::strtod(argv[3], nullptr) : 9.0;
  if (!(seconds > 0.0 && seconds < 1e6)) {
    throw std::runtime_error(concat("SECONDS is \"", argv[3], "\", expected a number above 0"));
  }
  const Model model = Model::open(argv[1]).value();
  Session session = Session::create(model).value();
  const Frames frames = load_frames(session, argc > 2 ? argv[2] : "");
  const Calibration costs = calibrate_cached("calibration.txt", session).value();
  const Ladder ladder = make_ladder(model, costs).value();
  const OperatingPoint& top = ladder.rungs().back();
  print_ladder(ladder);
  std::printf("frames: %s%s\n", frames.images.name().c_str(),
              frames.note.empty() ? "" : ("; " + frames.note).c_str());

  // The camera keeps the most accurate plan busy for four fifths of the time.
  const double period = top.latency / 0.8;
  const Camera camera{static_cast<std::size_t>(seconds / period), period, 20.0 * period};
  const Governor governor =
      Governor::create(ladder, {.deadline = camera.deadline, .up_dwell = 0.2}).value();
  std::printf("%zu frames, one every %.3f ms; deadline %.3f ms; load in the middle third\n\n",
              camera.frames, 1e3 * period, 1e3 * camera.deadline);

  std::string trace{trace_header};
  const auto governed = stream(session, governor, frames, camera, std::nullopt, &trace);
  const auto fixed = stream(session, governor, frames, camera, top.plan, nullptr);

  std::printf("\n%-10s   %-15s   %-15s   %-15s\n", "", "idle", "loaded", "idle");
  std::printf("%-10s   %7s %7s   %7s %7s   %7s %7s\n", "", "right", "late", "right", "late",
              "right", "late");
  print_counts("governed", governed);
  print_counts(concat("fixed ", top.name).c_str(), fixed);
  std::ofstream{"trace.csv"} << trace;
  const Replay again = replay(governor, parse_trace(trace).value());
  std::printf("\ntrace.csv: %zu decisions, %zu differ on replay\n", again.decisions.size(),
              again.differences.size());
  return again.differences.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: governed_stream MODEL [IMAGES [SECONDS]]\n");
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "governed_stream: %s\n", error.what());
    return 1;
  }
}
