// SPDX-License-Identifier: Apache-2.0
// Hostile files of images, IDX, CIFAR and gzip, are refused or read. The first byte of an input
// says which reader takes the rest.
#include <cstddef>
#include <cstdint>
#include <exception>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/data/cifar.hpp>
#include <bitdial/data/gzip.hpp>
#include <bitdial/data/idx.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitdial;
  if (size == 0) return 0;
  const auto* const begin = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> bytes(begin + 1, begin + size);
  try {
    switch (data[0] % 6) {
      case 0:
        fuzz::require(data::parse_idx_images(bytes, "f").size() + 16 ==
                          static_cast<std::int64_t>(bytes.size()),
                      "every byte is a pixel");
        break;
      case 1:
        fuzz::require(data::parse_idx_labels(bytes, "f").size() + 8 == bytes.size(),
                      "every byte is a label");
        break;
      case 2:
        fuzz::require(data::gunzip(bytes, "f", 1 << 16).size() <= 1 << 16, "the limit holds");
        break;
      case 3:
        static_cast<void>(data::parse_cifar(bytes, "f", data::CifarKind::cifar10));
        break;
      case 4:
        static_cast<void>(data::parse_cifar(bytes, "f", data::CifarKind::cifar100_fine));
        break;
      default:
        static_cast<void>(data::parse_cifar(bytes, "f", data::CifarKind::cifar100_coarse));
    }
  } catch (const FileError&) {
  }
  return 0;
}
