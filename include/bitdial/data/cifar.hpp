// SPDX-License-Identifier: Apache-2.0
// Reader of the binary versions of CIFAR-10 and CIFAR-100: records of label bytes and one planar
// 32 x 32 RGB image. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/data/planar_records.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Which data set a file belongs to and which of its labels to use.
enum class CifarKind {
  cifar10,          ///< 1 label byte, 10 classes
  cifar100_fine,    ///< 2 label bytes, the second one counts: 100 classes
  cifar100_coarse,  ///< 2 label bytes, the first one counts: 20 superclasses
};

/// The number of classes of a kind.
[[nodiscard]] constexpr int cifar_classes(CifarKind kind) noexcept {
  switch (kind) {
    case CifarKind::cifar10:
      return 10;
    case CifarKind::cifar100_fine:
      return 100;
    case CifarKind::cifar100_coarse:
      return 20;
  }
  return 0;
}

/// The images and labels of one file; `images` is `[N, 32, 32, 3]`.
using CifarRecords = LabelledRecords;

/// The records of a kind: both labels of CIFAR-100 are checked.
[[nodiscard]] inline RecordLayout cifar_layout(CifarKind kind) {
  if (kind == CifarKind::cifar10) return {};
  return {.classes = {20, 100},
          .label = kind == CifarKind::cifar100_fine ? std::size_t{1} : std::size_t{0}};
}

/// `parse_records` of a kind.
[[nodiscard]] inline CifarRecords parse_cifar(std::span<const std::byte> bytes,
                                              std::string_view source, CifarKind kind) {
  return parse_records(bytes, source, cifar_layout(kind));
}

/// The files of a CIFAR data set, read in the given order.
struct CifarFiles {
  CifarKind kind = CifarKind::cifar10;
  std::vector<std::string> files = {};
  std::string class_names = {};  ///< a text file with one name per line; empty: see `read_cifar`
  std::string name = "cifar";
  std::uint64_t max_bytes = default_file_limit;  ///< per file
};

/// Reads one data set from several files. Without a file of class names, CIFAR-10 has its ten
/// usual names and CIFAR-100 numbers. Throws `FileError` as `parse_records` does, and for a wrong
/// number of class names; `ConfigError` without files.
[[nodiscard]] inline Dataset read_cifar(const CifarFiles& files,
                                        const FileReader& read = &read_file) {
  if (files.files.empty()) {
    throw ConfigError(concat("read_cifar: expected at least one file for '", files.name, "'"));
  }
  const int classes = cifar_classes(files.kind);
  std::vector<std::string> names;
  if (!files.class_names.empty()) {
    names = text_lines(read(files.class_names, files.max_bytes));
    if (static_cast<int>(names.size()) != classes) {
      throw FileError(
          concat(files.class_names, ": expected ", classes, " class names, found ", names.size()));
    }
  } else if (files.kind == CifarKind::cifar10) {
    names = {"airplane", "automobile", "bird",  "cat",  "deer",
             "dog",      "frog",       "horse", "ship", "truck"};
  }
  return read_records({.layout = cifar_layout(files.kind),
                       .files = files.files,
                       .class_names = std::move(names),
                       .name = files.name,
                       .max_bytes = files.max_bytes},
                      read);
}

}  // namespace bitdial::inline BITDIAL_ABI::data
