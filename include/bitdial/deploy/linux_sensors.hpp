// SPDX-License-Identifier: Apache-2.0
// Signals for a governor from the files of a Linux kernel: heat, battery, memory, pressure, energy.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/io/folder.hpp>
#include <bitdial/io/text_file.hpp>

namespace bitdial::inline BITDIAL_ABI {

namespace detail {

/// The number that `text` starts with, after blanks.
[[nodiscard]] inline std::optional<double> leading_number(std::string_view text) noexcept {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

/// The number in a file of one number; none when there is no such file or number.
[[nodiscard]] inline std::optional<double> number_in(const std::string& path) {
  const auto text = io::read_text_file(path);
  return text ? leading_number(*text) : std::nullopt;
}

/// The word in a file of one word.
[[nodiscard]] inline std::string word_in(const std::string& path) {
  const auto text = io::read_text_file(path);
  return text ? text->substr(0, text->find_first_of(" \t\n")) : std::string{};
}

/// The number behind `key` in a text of lines.
[[nodiscard]] inline std::optional<double> number_behind(std::string_view text,
                                                         std::string_view key) noexcept {
  const std::size_t at = text.find(key);
  return at == std::string_view::npos ? std::nullopt : leading_number(text.substr(at + key.size()));
}

}  // namespace detail

/// Readers of kernel files. `sys` and `proc` are the folders where those file systems are mounted.
///
/// Nothing is kept open, no thread is started; each call reads the files anew and allocates a
/// little, so call it a few times a second, not for every request.
struct LinuxSensors {
  std::string sys = "/sys";
  std::string proc = "/proc";

  /// Kelvin between the hottest zone and the first point at which the kernel acts on it. Below 0:
  /// it is throttling. Error: no thermal zone with such a point.
  [[nodiscard]] Result<double> thermal_headroom() const {
    const std::string folder = sys + "/class/thermal/";
    double headroom = std::numeric_limits<double>::infinity();
    for (const std::string& zone : io::entries_of(folder, "thermal_zone")) {
      const auto temperature = detail::number_in(concat(folder, zone, "/temp"));
      if (!temperature) continue;
      for (const std::string& type : io::entries_of(folder + zone, "trip_point_")) {
        if (!type.ends_with("_type")) continue;
        const std::string kind = detail::word_in(concat(folder, zone, "/", type));
        if (kind != "passive" && kind != "hot" && kind != "critical") continue;
        const std::string point = type.substr(0, type.size() - std::string_view{"type"}.size());
        const auto limit = detail::number_in(concat(folder, zone, "/", point, "temp"));
        if (limit) headroom = std::min(headroom, (*limit - *temperature) / 1000.0);
      }
    }
    if (headroom == std::numeric_limits<double>::infinity()) {
      return Failure{concat(folder, ": no thermal zone with a throttling point")};
    }
    return headroom;
  }

  /// The charge of the emptiest battery, 0..1. Error: no battery.
  [[nodiscard]] Result<double> battery() const {
    const std::string folder = sys + "/class/power_supply/";
    std::optional<double> lowest;
    for (const std::string& supply : io::entries_of(folder, "")) {
      if (detail::word_in(concat(folder, supply, "/type")) != "Battery") continue;
      const auto percent = detail::number_in(concat(folder, supply, "/capacity"));
      if (percent) lowest = std::min(lowest.value_or(1.0), *percent / 100.0);
    }
    if (!lowest) return Failure{concat(folder, ": no battery")};
    return *lowest;
  }

  /// Bytes that programs can still get without swapping.
  [[nodiscard]] Result<double> memory_available() const {
    return read(proc + "/meminfo", "MemAvailable:", 1024.0);
  }

  /// The share of the last 10 seconds in which some task waited for a processor, 0..1.
  [[nodiscard]] Result<double> cpu_pressure() const {
    return read(proc + "/pressure/cpu", "some avg10=", 0.01);
  }

  /// The processor's name; "unknown processor" where the kernel does not tell.
  [[nodiscard]] std::string cpu_model() const {
    const auto text = io::read_text_file(proc + "/cpuinfo");
    for (const std::string_view key : {"model name", "Model", "Hardware"}) {
      const std::size_t line = text ? text->find(key) : std::string::npos;
      if (line == std::string::npos) continue;
      const std::size_t colon = text->find(':', line);
      const std::size_t end = std::min(text->find('\n', line), text->size());
      if (colon == std::string::npos || colon + 2 > end) continue;
      return text->substr(colon + 2, end - colon - 2);
    }
    return "unknown processor";
  }

 private:
  [[nodiscard]] static Result<double> read(const std::string& path, std::string_view key,
                                           double unit) {
    const auto text = io::read_text_file(path);
    if (!text) return text.failure();
    const auto value = detail::number_behind(*text, key);
    if (!value) return Failure{concat(path, ": expected a line with \"", key, "\" and a number")};
    return *value * unit;
  }
};

/// Joules that the processor packages have used, from the kernel's powercap counters.
class EnergyCounter {
 public:
  /// Error: no readable counter (often only the administrator may read them).
  [[nodiscard]] static Result<EnergyCounter> open(const std::string& sys = "/sys") {
    EnergyCounter counter;
    const std::string folder = sys + "/class/powercap/";
    for (const std::string& zone : io::entries_of(folder, "")) {
      // `intel-rapl:0` is a package, `intel-rapl:0:1` a part of it that is counted there already.
      if (std::count(zone.begin(), zone.end(), ':') != 1) continue;
      const auto range = detail::number_in(concat(folder, zone, "/max_energy_range_uj"));
      const std::string path = concat(folder, zone, "/energy_uj");
      const auto now = detail::number_in(path);
      if (now) counter.zones_.push_back({path, range.value_or(0.0), *now});
    }
    if (counter.zones_.empty()) return Failure{concat(folder, ": no readable energy counter")};
    return counter;
  }

  /// Joules since the counter was opened. Call it more often than the counters wrap, about once a
  /// minute. Error: a counter cannot be read any more.
  [[nodiscard]] Result<double> joules() {
    for (Zone& zone : zones_) {
      const auto now = detail::number_in(zone.path);
      if (!now) return Failure{concat(zone.path, ": cannot read the energy counter")};
      used_ += *now >= zone.last ? *now - zone.last : *now - zone.last + zone.range;
      zone.last = *now;
    }
    return used_ * 1e-6;
  }

 private:
  struct Zone {
    std::string path;
    double range = 0.0, last = 0.0;  ///< microjoules
  };
  std::vector<Zone> zones_;
  double used_ = 0.0;
};

}  // namespace bitdial::inline BITDIAL_ABI
