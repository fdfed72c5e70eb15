// SPDX-License-Identifier: Apache-2.0
// What other programs take from the machine while something is measured. Two threads that meet at
// the end of every layer wait for the slower one: a program that needs one core for a moment makes
// them many times slower, and such samples are worth nothing.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include "sampling.hpp"

namespace bench {

/// Counts from its construction on. Knows nothing where there is no /proc/stat.
class Bystanders {
 public:
  /// The cores that other programs kept busy, on average; the clock has ticks of 10 ms.
  [[nodiscard]] double cores() const {
    const double wall = wall_seconds() - wall_, all = machine_seconds() - machine_;
    return std::max(0.0, (all - (own_seconds() - own_)) / std::max(wall, 1e-3));
  }
  /// True when that is more than a tenth of a core.
  [[nodiscard]] bool disturbed() const { return cores() > 0.1; }

 private:
  /// Busy time of all cores since the machine started.
  [[nodiscard]] static double machine_seconds() {
    std::ifstream file("/proc/stat");
    std::string cpu;
    double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0;
    if (!(file >> cpu >> user >> nice >> system >> idle >> waiting >> interrupts >> soft)) return 0;
    return (user + nice + system + interrupts + soft) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  [[nodiscard]] static double own_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  double wall_ = wall_seconds(), machine_ = machine_seconds(), own_ = own_seconds();
};

/// Calls `measure()` and, if nobody disturbed it, `keep()`, until `wanted` samples were kept. After
/// as many disturbed ones everything is kept: returns true when that happened.
template <class Measure, class Keep>
bool collect_undisturbed(int wanted, const Measure& measure, const Keep& keep) {
  int dropped = 0;
  bool tainted = false;
  for (int kept = 0; kept < wanted;) {
    const Bystanders others;
    measure();
    const bool disturbed = others.disturbed();
    if (disturbed && dropped < wanted) {
      ++dropped;
      continue;
    }
    tainted = tainted || disturbed;
    keep();
    ++kept;
  }
  return tainted;
}

inline constexpr const char* busy_note = "other programs were running";

}  // namespace bench
