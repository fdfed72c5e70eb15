// SPDX-License-Identifier: Apache-2.0
// Replays inputs without libFuzzer: every file of the folders, and mutations of each that are the
// same in every run.
//
// usage: fuzz_HARNESS MUTATIONS FOLDER...
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz.hpp"

namespace {

using Input = std::vector<std::uint8_t>;

Input read(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

void mutate(Input& input, std::mt19937& random) {
  const auto below = [&](std::size_t end) {
    return std::uniform_int_distribution<std::size_t>{0, end - 1}(random);
  };
  for (std::size_t changes = 1 + below(4); changes > 0 && !input.empty(); --changes) {
    const std::size_t at = below(input.size());
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(6)) {
      case 0:
        input[at] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        input[at] = static_cast<std::uint8_t>(below(256));
        break;
      case 2:
        if (below(4) == 0) input.resize(at);
        break;
      case 3:
        input.insert(place, static_cast<std::uint8_t>(below(256)));
        break;
      case 4:
        input.erase(place);
        break;
      default: {
        constexpr std::array<std::uint32_t, 10> values{
            0, 1, 2, 8, 255, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
        const std::uint32_t value = values[below(values.size())];
        for (std::size_t i = 0; i < 4 && at + i < input.size(); ++i) {
          input[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
        }
      }
    }
  }
}

void call(const Input& input) {
  static_cast<void>(LLVMFuzzerTestOneInput(input.data(), input.size()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MUTATIONS FOLDER...\n", argv[0]);
    return 2;
  }
  std::vector<std::filesystem::path> paths;
  for (int i = 2; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator{argv[i]}) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  const long mutations = std::strtol(argv[1], nullptr, 10);
  call({});
  for (const auto& path : paths) {
    const Input seed = read(path);
    call(seed);
    std::mt19937 random{1};
    for (long i = 0; i < mutations; ++i) {
      Input input = seed;
      mutate(input, random);
      call(input);
    }
  }
  std::printf("%zu inputs, %ld mutations of each\n", paths.size(), mutations);
  return paths.empty() ? 1 : 0;
}
