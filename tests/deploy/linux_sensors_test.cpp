// SPDX-License-Identifier: Apache-2.0
// Readers of kernel files, on files of our own.
#include <bitdial/deploy/linux_sensors.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace {

using namespace bitdial;

class Folder {
 public:
  Folder()
      : path_{std::filesystem::temp_directory_path() /
              ("bitdial-sensors-" + std::to_string(::getpid()))} {
    std::filesystem::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream{path_ / name} << text;
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST_CASE("the headroom is that of the hottest zone to its first throttling point") {
  const Folder folder;
  const LinuxSensors sensors{.sys = folder.path(), .proc = folder.path()};
  CHECK(sensors.thermal_headroom().error() ==
        folder.path() + "/class/thermal/: no thermal zone with a throttling point");
  folder.write("class/thermal/thermal_zone0/temp", "45000\n");
  CHECK_FALSE(sensors.thermal_headroom().ok());
  folder.write("class/thermal/thermal_zone0/trip_point_0_type", "active\n");
  folder.write("class/thermal/thermal_zone0/trip_point_0_temp", "40000\n");
  folder.write("class/thermal/thermal_zone0/trip_point_1_type", "critical\n");
  folder.write("class/thermal/thermal_zone0/trip_point_1_temp", "105000\n");
  CHECK(sensors.thermal_headroom().value() == 60.0);
  folder.write("class/thermal/thermal_zone0/trip_point_2_type", "passive\n");
  folder.write("class/thermal/thermal_zone0/trip_point_2_temp", "0\n");
  folder.write("class/thermal/thermal_zone0/trip_point_3_type", "hot\n");
  folder.write("class/thermal/thermal_zone0/trip_point_3_temp", "-274000\n");
  CHECK(sensors.thermal_headroom().value() == 60.0);
  folder.write("class/thermal/thermal_zone1/temp", "88500\n");
  folder.write("class/thermal/thermal_zone1/trip_point_0_type", "passive\n");
  folder.write("class/thermal/thermal_zone1/trip_point_0_temp", "85000\n");
  CHECK(sensors.thermal_headroom().value() == -3.5);
  folder.write("class/thermal/thermal_zone1/temp", "error\n");
  CHECK(sensors.thermal_headroom().value() == 60.0);
}

TEST_CASE("battery, memory and pressure") {
  const Folder folder;
  const LinuxSensors sensors{.sys = folder.path(), .proc = folder.path()};
  CHECK(sensors.battery().error() == folder.path() + "/class/power_supply/: no battery");
  folder.write("class/power_supply/AC/type", "Mains\n");
  folder.write("class/power_supply/AC/capacity", "1\n");
  folder.write("class/power_supply/BAT0/type", "Battery\n");
  folder.write("class/power_supply/BAT0/capacity", "73\n");
  folder.write("class/power_supply/hidpp_battery_0/type", "Battery\n");
  folder.write("class/power_supply/hidpp_battery_0/scope", "Device\n");
  folder.write("class/power_supply/hidpp_battery_0/capacity", "5\n");
  CHECK(sensors.battery().value() == 0.73);

  CHECK(sensors.memory_available().error().starts_with(folder.path() + "/meminfo: cannot open"));
  folder.write("meminfo", "MemTotal:  16 kB\nMemAvailable:   8 kB\n");
  CHECK(sensors.memory_available().value() == 8192.0);
  folder.write("meminfo", "MemTotal:  16 kB\n");
  CHECK(sensors.memory_available().error() ==
        folder.path() + "/meminfo: expected a line with \"MemAvailable:\" and a number");

  folder.write("pressure/cpu", "some avg10=12.50 avg60=3.00 avg300=1.00 total=12\n");
  CHECK(sensors.cpu_pressure().value() == 0.125);
  folder.write("cpuinfo", "processor\t: 0\nmodel name\t: Toy CPU 3000\nflags\t: fpu\n");
  CHECK(sensors.cpu_model() == "Toy CPU 3000");
  const std::string little =
      "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd05\n";
  const std::string big =
      "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n";
  folder.write("cpuinfo", little + "\n" + little + "\n" + big + "\nModel\t\t: Toy board\n");
  CHECK(sensors.cpu_model() == "Arm 0x41 part 0xd05 variant 0x1 + Arm 0x41 part 0xd0c variant 0x3");
  folder.write("cpuinfo", "processor\t: 0\nSerial : 1\nModel\t\t: Toy board\n");
  CHECK(sensors.cpu_model() == "Toy board");
  folder.write("cpuinfo", "");
  CHECK(sensors.cpu_model() == "unknown processor");
}

TEST_CASE("energy counters are added up, and wrap") {
  const Folder folder;
  CHECK(EnergyCounter::open(folder.path()).error() ==
        folder.path() + "/class/powercap/: no readable energy counter");
  const auto domain = [&](const std::string& zone, const std::string& name, int microjoules) {
    folder.write("class/powercap/" + zone + "/name", name + "\n");
    folder.write("class/powercap/" + zone + "/energy_uj", std::to_string(microjoules) + "\n");
  };
  domain("intel-rapl:2", "psys", 3);
  domain("dtpm:0", "pkg", 3);
  CHECK_FALSE(EnergyCounter::open(folder.path()).ok());
  domain("intel-rapl-mmio:0", "package-0", 800000);
  domain("intel-rapl:0:0", "core", 5);
  domain("intel-rapl:0", "package-0", 900000);
  domain("intel-rapl:1", "package-1", 0);
  folder.write("class/powercap/intel-rapl:0/max_energy_range_uj", "1000000\n");
  auto counter = EnergyCounter::open(folder.path());
  REQUIRE(counter.ok());
  CHECK(counter->joules().value() == 0.0);
  domain("intel-rapl-mmio:0", "package-0", 1000000);
  domain("intel-rapl:2", "psys", 900000);
  domain("intel-rapl:0:0", "core", 77777);
  domain("intel-rapl:0", "package-0", 100000);
  domain("intel-rapl:1", "package-1", 50000);
  CHECK(counter->joules().value() == doctest::Approx(0.25));
  std::filesystem::remove(folder.path() + "/class/powercap/intel-rapl:1/energy_uj");
  CHECK(counter->joules().error().ends_with("energy_uj: cannot read the energy counter"));
}

TEST_CASE("a text file has a limit") {
  const Folder folder;
  folder.write("a", "12345");
  CHECK(io::read_text_file(folder.path() + "/a").value() == "12345");
  CHECK(io::read_text_file(folder.path() + "/a", 4).error() ==
        folder.path() + "/a: is longer than 4 bytes");
  CHECK(io::read_text_file(folder.path()).error().starts_with(folder.path() + ": cannot read"));
}

}  // namespace
