// SPDX-License-Identifier: Apache-2.0
// A hostile checkpoint is refused and changes nothing, or gives finite shapes their values.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <bitdial/train/checkpoint.hpp>
#include <support/sealed.hpp>

#include "fuzz.hpp"

namespace {

using namespace bitdial;

const std::string& scratch() {
  static const std::string path = (std::filesystem::temp_directory_path() /
                                   ("bitdial_fuzz_checkpoint_" + std::to_string(::getpid())))
                                      .string();
  return path;
}

void check(std::span<const std::byte> bytes) {
  std::ofstream{scratch(), std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()),
                                                   static_cast<std::streamsize>(bytes.size()));
  Tensor<float> weight({2, 3}), bias({3});
  weight.fill(7.0F);
  bias.fill(7.0F);
  try {
    static_cast<void>(
        train::load_checkpoint(scratch(), "run", {{"weight", &weight}, {"bias", &bias}}));
  } catch (const FileError&) {
    for (const Tensor<float>* tensor : {&weight, &bias}) {
      for (const float value : tensor->span()) fuzz::require(value == 7.0F, "nothing changed");
    }
  }
  std::filesystem::remove(scratch());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* const begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);
  check(bytes);
  if (test::seal(bytes)) check(bytes);
  return 0;
}
