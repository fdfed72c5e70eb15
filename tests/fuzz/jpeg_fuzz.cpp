// SPDX-License-Identifier: Apache-2.0
// A hostile JPEG is refused, or decodes to an image within the limit.
#include <cstddef>
#include <cstdint>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/data/jpeg.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitdial;
  const auto* const begin = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> bytes(begin, begin + size);
  constexpr std::int64_t limit = 1 << 16;
  try {
    data::ImageMemory memory;
    const Shape shape = data::decode_jpeg(bytes, "f", memory, limit);
    fuzz::require(shape.rank() == 3 && shape[2] == 3 && shape[0] * shape[1] <= limit,
                  "an RGB image within the limit");
    fuzz::require(memory.size() >= static_cast<std::size_t>(shape.size()), "all of its bytes");
  } catch (const FileError&) {
  }
  return 0;
}
