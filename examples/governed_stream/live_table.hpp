// SPDX-License-Identifier: Apache-2.0
// The state of the stream on the terminal: one row per plan, drawn over itself; a line per second
// where the output is not a terminal.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include <bitdial/runtime.hpp>

/// Counts of one third of the stream.
struct Count {
  std::size_t frames = 0, right = 0, late = 0;
};

inline double percent(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

class LiveTable {
 public:
  explicit LiveTable(const bitdial::Ladder& ladder)
      : ladder_{&ladder}, live_{::isatty(STDOUT_FILENO) != 0}, chosen_(ladder.rungs().size(), 0) {}

  /// Every frame; draws when it is time.
  void add(double now, bool load, double queue, const bitdial::Decision& decision,
           const Count& count) {
    const auto rungs = ladder_->rungs();
    std::size_t rung = 0;
    while (rung + 1 < rungs.size() && rungs[rung].plan != decision.plan) ++rung;
    ++chosen_[rung];
    ++frames_;
    if (now < next_) return;
    next_ = now + (live_ ? 0.1 : 1.0);
    draw(now, load, queue, rung, decision, count);
  }

 private:
  void draw(double now, bool load, double queue, std::size_t rung,
            const bitdial::Decision& decision, const Count& count) {
    const auto rungs = ladder_->rungs();
    const std::string reason{bitdial::reason_text(decision.reason)};
    if (live_) {
      if (drawn_) std::printf("\x1b[%zuA", rungs.size() + 1);
      for (std::size_t i = rungs.size(); i-- > 0;) {
        const double share = percent(chosen_[i], frames_);
        std::printf("%c %-8s %6.2f%% %8.3f ms  %5.1f%% of frames %-25s %s\x1b[K\n",
                    i == rung ? '>' : ' ', rungs[i].name.c_str(), 100 * rungs[i].accuracy,
                    1e3 * rungs[i].latency, share,
                    std::string(static_cast<std::size_t>(share / 4.0), '#').c_str(),
                    i == rung ? reason.c_str() : "");
      }
      drawn_ = true;
    }
    std::printf("%6.2f s  load %-3s  queue %4.0f  ", now, load ? "yes" : "no", queue);
    if (!live_) std::printf("plan %-8s %-12s ", rungs[rung].name.c_str(), reason.c_str());
    std::printf("right %6.2f%%  late %6.2f%%%s\n", percent(count.right, count.frames),
                percent(count.late, count.frames), live_ ? "\x1b[K" : "");
    std::fflush(stdout);
  }

  const bitdial::Ladder* ladder_;
  bool live_;
  bool drawn_ = false;
  std::vector<std::size_t> chosen_;  ///< frames by rung
  std::size_t frames_ = 0;
  double next_ = 0.0;
};
