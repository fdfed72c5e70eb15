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
#include <bitdial/core/text_lines.hpp>
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

/// The value of a line `key : value`; empty where `line` is another one.
[[nodiscard]] inline std::string_view value_of(std::string_view line,
                                               std::string_view key) noexcept {
  const std::string_view name = take_piece(line, ':');
  const bool same = name.substr(0, name.find_last_not_of(" \t") + 1) == key;
  line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
  return same ? line : std::string_view{};
}

/// The value of the first such line that has one.
[[nodiscard]] inline std::string_view first_value(std::string_view text,
                                                  std::string_view key) noexcept {
  std::string_view value;
  for (TextLines lines{text}; value.empty() && lines.next();) value = value_of(lines.line(), key);
  return value;
}

/// The kinds of Arm cores in /proc/cpuinfo, in its order; each kind once.
[[nodiscard]] inline std::string arm_cores(std::string_view text) {
  std::vector<std::string> kinds;
  std::string_view implementer, variant;
  for (TextLines lines{text}; lines.next();) {
    const auto set = [&](std::string_view& value, std::string_view key) {
      if (const std::string_view found = value_of(lines.line(), key); !found.empty()) value = found;
    };
    set(implementer, "CPU implementer");
    set(variant, "CPU variant");  // stands before the part
    const std::string_view part = value_of(lines.line(), "CPU part");
    if (part.empty()) continue;
    std::string kind = concat("Arm ", implementer, " part ", part, " variant ", variant);
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
      kinds.push_back(std::move(kind));
    }
  }
  return join(kinds, " + ");
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
  /// it is throttling. Points at or below 0 degrees Celsius are placeholders of the firmware.
  /// Error: no thermal zone with such a point.
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
        if (limit && *limit > 0.0) headroom = std::min(headroom, (*limit - *temperature) / 1000.0);
      }
    }
    if (headroom == std::numeric_limits<double>::infinity()) {
      return Failure{concat(folder, ": no thermal zone with a throttling point")};
    }
    return headroom;
  }

  /// The charge of the emptiest battery of the machine, 0..1; those of mice and pens, whose scope
  /// is `Device`, do not count. Error: no battery.
  [[nodiscard]] Result<double> battery() const {
    const std::string folder = sys + "/class/power_supply/";
    std::optional<double> lowest;
    for (const std::string& supply : io::entries_of(folder, "")) {
      if (detail::word_in(concat(folder, supply, "/type")) != "Battery") continue;
      if (detail::word_in(concat(folder, supply, "/scope")) == "Device") continue;
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

  /// The processor's name; on Arm, where the kernel has none, the numbers of its kinds of cores:
  /// `Arm 0x41 part 0xd0c variant 0x3`. "unknown processor" where the kernel tells neither.
  [[nodiscard]] std::string cpu_model() const {
    const auto text = io::read_text_file(proc + "/cpuinfo");
    if (!text) return "unknown processor";
    const std::string_view name = detail::first_value(*text, "model name");
    if (!name.empty()) return std::string{name};
    const std::string cores = detail::arm_cores(*text);
    if (!cores.empty()) return cores;
    for (const std::string_view key : {"Model", "Hardware"}) {
      const std::string_view board = detail::first_value(*text, key);
      if (!board.empty()) return std::string{board};
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

/// Joules that the processor packages have used, from the kernel's powercap counters: those named
/// `package-...`, each once. Their parts, and the whole platform, are not counted again.
class EnergyCounter {
 public:
  /// Error: no readable counter (often only the administrator may read them).
  [[nodiscard]] static Result<EnergyCounter> open(const std::string& sys = "/sys") {
    EnergyCounter counter;
    const std::string folder = sys + "/class/powercap/";
    const std::vector<std::string> zones = io::entries_of(folder, "");
    // From the back: `intel-rapl:0` comes before `intel-rapl-mmio:0`, the same package once more.
    for (auto zone = zones.rbegin(); zone != zones.rend(); ++zone) {
      std::string name = detail::word_in(concat(folder, *zone, "/name"));
      const bool known = std::any_of(counter.zones_.begin(), counter.zones_.end(),
                                     [&](const Zone& other) { return other.name == name; });
      if (!name.starts_with("package-") || known) continue;
      const auto range = detail::number_in(concat(folder, *zone, "/max_energy_range_uj"));
      std::string path = concat(folder, *zone, "/energy_uj");
      const auto now = detail::number_in(path);
      if (!now) continue;
      counter.zones_.push_back({std::move(name), std::move(path), range.value_or(0.0), *now});
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
    std::string name, path;
    double range = 0.0, last = 0.0;  ///< microjoules
  };
  std::vector<Zone> zones_;
  double used_ = 0.0;
};

}  // namespace bitdial::inline BITDIAL_ABI
