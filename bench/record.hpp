// SPDX-License-Identifier: Apache-2.0
// One measured number, and how it is written: a line of JSON in a file, a line of a table for
// readers. `bench/report.py` collects the lines of all programs.
#pragma once

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

namespace bench {

/// What is written to bench.json; docs/benchmarks.md says what each member means.
struct Record {
  std::string kind;       ///< kernel, network, training, switch, program or peer
  std::string name;       ///< "resnet20@32"
  std::string precision;  ///< "w2a2", "f32"
  int threads = 1;
  std::int64_t batch = 1;
  double value = 0.0;  ///< the median of the samples
  std::string unit;
  double spread = 0.0;       ///< distance between the quartiles, as a share of the median
  double peak_share = -1.0;  ///< of the fastest multiply-accumulate loop; below 0: not known
  double gmacs = -1.0;       ///< GMAC/s; below 0: not known
  double times_u8s8 = -1.0;  ///< of the rate of the byte kernel; below 0: not compared
  std::string note{};        ///< what a reader must know
};

/// The same members for a table and for JSON; text is plain words without quotes or backslashes.
class RecordWriter {
 public:
  /// An empty path writes no file. Throws `bitdial::Error` when the file cannot be written.
  explicit RecordWriter(const std::string& path) : to_file_{!path.empty()} {
    if (!to_file_) return;
    file_.open(path);
    if (!file_) throw bitdial::Error("bench: cannot write '" + path + "'");
  }

  void header() const {
    std::printf("%-42s %-9s %7s %5s %12s %-10s %7s %9s %7s\n", "name", "precision", "threads",
                "batch", "value", "unit", "spread", "GMAC/s", "peak");
  }

  void write(const Record& r) {
    std::printf("%-42s %-9s %7d %5lld %12.4f %-10s %6.1f%%", r.name.c_str(), r.precision.c_str(),
                r.threads, static_cast<long long>(r.batch), r.value, r.unit.c_str(),
                100.0 * r.spread);
    if (r.gmacs >= 0.0) std::printf(" %9.1f", r.gmacs);
    if (r.peak_share >= 0.0) std::printf(" %6.1f%%", 100.0 * r.peak_share);
    if (r.times_u8s8 >= 0.0) std::printf("  x %.2f of u8s8", r.times_u8s8);
    std::printf(r.note.empty() ? "\n" : "  (%s)\n", r.note.c_str());
    std::fflush(stdout);
    if (!to_file_) return;
    file_ << bitdial::concat(
                 "{\"kind\": \"", r.kind, "\", \"name\": \"", r.name, "\", \"precision\": \"",
                 r.precision, "\", \"threads\": ", r.threads, ", \"batch\": ", r.batch,
                 ", \"value\": ", number(r.value, true), ", \"unit\": \"", r.unit,
                 "\", \"spread\": ", number(r.spread, true),
                 ", \"peak_share\": ", number(r.peak_share, r.peak_share >= 0.0),
                 ", \"gmacs\": ", number(r.gmacs, r.gmacs >= 0.0),
                 r.times_u8s8 < 0.0 ? "" : bitdial::concat(", \"times_u8s8\": ", r.times_u8s8),
                 r.note.empty() ? "" : ", \"note\": \"" + r.note + '"', "}\n")
          << std::flush;
  }

 private:
  [[nodiscard]] static std::string number(double value, bool known) {
    return known && std::isfinite(value) ? bitdial::concat(value) : "null";
  }

  bool to_file_;
  std::ofstream file_;
};

}  // namespace bench
